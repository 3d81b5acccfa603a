// What a cluster asks of the gateway: reviews at its webhook, manifests and blobs at its registry.
import http from 'k6/http';
import { check } from 'k6';

const template = JSON.parse(open(`${__ENV.STAGE}/review.json`));
const container = template.request.object.spec.containers[0];
export const digests = JSON.parse(open(`${__ENV.STAGE}/digests.json`));
const repository = 'registry.example/acme/app';
const parameters = { headers: { 'content-type': 'application/json' }, timeout: '15s' };

function ask(images, what) {
  const containers = images.map((digest, index) => (
    { ...container, name: `container-${index}`, image: `${repository}@${digest}` }));
  const review = { ...template, request: { ...template.request,
    object: { ...template.request.object, spec: { ...template.request.object.spec, containers } } } };
  return http.post(`${__ENV.WEBHOOK}/admission/validate?timeout=10s`, JSON.stringify(review),
    { ...parameters, tags: { what } });
}

export function admitted(images, what = 'review') {
  const answer = ask(images, what);
  check(answer, { admitted: (a) => a.status === 200 && a.json('response.allowed') === true });
}

// Not known, and the registry cannot say: denied with the reason, and never a timeout.
export function undecided(images) {
  const answer = ask(images, 'undecided');
  check(answer, { 'denied with why': (a) => a.status === 200 && a.json('response.allowed') === false
    && a.json('response.status.code') === 503 });
}

export function manifest(digest) {
  const answer = http.get(`${__ENV.REGISTRY}/v2/${repository}/manifests/${digest}`, { tags: { what: 'manifest' } });
  check(answer, { served: (a) => a.status === 200 });
  return answer;
}

export function blob(digest) {
  const answer = http.get(`${__ENV.REGISTRY}/v2/${repository}/blobs/${digest}`,
    { responseType: 'none', tags: { what: 'blob' } });
  check(answer, { served: (a) => a.status === 200 });
}

// A few images make most of the Pods: the one of rank n is asked for in proportion to 1/n.
export function zipf(count) {
  const sums = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank += 1) { sum += 1 / rank; sums.push(sum); }
  return () => {
    const wanted = Math.random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) low = middle + 1; else high = middle;
    }
    return low;
  };
}
