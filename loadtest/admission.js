// Warm admission: one review of a Pod with three images, again and again, over TLS with keep-alive.
//   k6 run -e URL=https://127.0.0.1:8443 -e REVIEW=review.json [-e RATE=1000] [-e DURATION=15s] admission.js
// Reviews arrive at a fixed rate: 1,000 Pods a second is what the largest clusters sustain. How many can be answered at
// most is asked of wrk, since k6 costs more than what it measures.
import http from 'k6/http';
import { check } from 'k6';

const review = open(__ENV.REVIEW);
const url = `${__ENV.URL}/admission/validate?timeout=10s`;
const parameters = { headers: { 'content-type': 'application/json' } };

export const options = {
  scenarios: {
    pods: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE || 1000),
      timeUnit: '1s',
      duration: __ENV.DURATION || '15s',
      preAllocatedVUs: 16,
      maxVUs: 64,
    },
  },
  insecureSkipTLSVerify: true,
  summaryTrendStats: ['avg', 'med', 'p(99)', 'p(99.9)', 'max'],
  thresholds: { checks: ['rate==1'] },
};

export default function () {
  const answer = http.post(url, review, parameters);
  check(answer, { allowed: (a) => a.status === 200 && a.json('response.allowed') === true });
}
