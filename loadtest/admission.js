// Warm admission: one review of a Pod with three images, again and again, over TLS with keep-alive.
//   k6 run -e URL=https://127.0.0.1:8443 -e REVIEW=review.json [-e VUS=8] [-e DURATION=15s] admission.js
import http from 'k6/http';
import { check } from 'k6';

const review = open(__ENV.REVIEW);
const url = `${__ENV.URL}/admission/validate?timeout=10s`;
const parameters = { headers: { 'content-type': 'application/json' } };

export const options = {
  vus: Number(__ENV.VUS || 8),
  duration: __ENV.DURATION || '15s',
  insecureSkipTLSVerify: true,
  summaryTrendStats: ['avg', 'med', 'p(99)', 'p(99.9)', 'max'],
  thresholds: { checks: ['rate==1'] },
};

export default function () {
  const answer = http.post(url, review, parameters);
  check(answer, { allowed: (a) => a.status === 200 && a.json('response.allowed') === true });
}
