// One scenario of load, at a fixed rate of arrival:
//   k6 run -e SCENARIO=warm -e STAGE=DIRECTORY -e WEBHOOK=https://… -e REGISTRY=http://… [-e SECONDS=12] scenarios.js
// loadtest/run starts what it needs and puts in the numbers. What has to hold is in the checks; times are reported.
import exec from 'k6/execution';
import { admitted, blob, digests, manifest, undecided, zipf } from './cluster.js';

const seconds = Number(__ENV.SECONDS || 12);
const known = Number(__ENV.KNOWN || 300);
const cold = Number(__ENV.COLD || known);

function steady(rate, exec_ = __ENV.SCENARIO) {
  return { executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${seconds}s`,
    preAllocatedVUs: 16, maxVUs: 128, exec: exec_ };
}

const scenarios = {
  warm: { warm: steady(1000) },
  cold: { coldly: steady(15, 'coldly') },
  connections: { warm: steady(150, 'warm') },
  zipf: { mixture: steady(300, 'mixture') },
  herd: { herd: { executor: 'per-vu-iterations', vus: 100, iterations: 1, maxDuration: '30s', exec: 'herd' } },
  drain: { warm: { executor: 'ramping-arrival-rate', startRate: 0, timeUnit: '1s', preAllocatedVUs: 32, maxVUs: 128,
    stages: [{ target: 800, duration: '1s' }, { target: 800, duration: '3s' }, { target: 0, duration: '1s' }], exec: 'any' } },
  storm: { any: steady(300, 'any') },
  manifests: { manifests: steady(800, 'manifests') },
  blobs: { blobs: steady(400, 'blobs') },
  mixed: { any: steady(200, 'any'), manifests: steady(200, 'manifests'), blobs: steady(100, 'blobs') },
  'registry-faults': { any: steady(200, 'any'), unknown: steady(10, 'unknown') },
  'redis-faults': { any: steady(200, 'any') },
  soak: { mixture: steady(100, 'mixture'), manifests: steady(50, 'manifests'), blobs: steady(50, 'blobs') },
};

export const options = {
  scenarios: scenarios[__ENV.SCENARIO],
  insecureSkipTLSVerify: true,
  noConnectionReuse: __ENV.SCENARIO === 'connections',
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'p(99.9)', 'max'],
  thresholds: { checks: ['rate>0.999'], http_req_failed: ['rate<0.001'] },
};

const rank = zipf(known);
const three = (first) => [0, 1, 2].map((next) => digests[(first + next) % known]);
// Each of the unknown images is asked for once.
const fresh = () => digests[(cold + exec.scenario.iterationInTest) % digests.length];

export function warm() { admitted(three(0)); }
export function any() { admitted(three(Math.floor(Math.random() * known))); }
export function coldly() { admitted([fresh()], 'cold'); }
export function unknown() { undecided([fresh()]); }
export function herd() { admitted([digests[cold]], 'cold'); }
export function manifests() { manifest(digests[rank()]); }
export function blobs() { blob(layer(digests[rank()])); }

// One review in a hundred is of an image that nobody asked for before.
export function mixture() {
  if (exec.scenario.iterationInTest % 100 === 99) {
    admitted([digests[(cold + Math.floor(exec.scenario.iterationInTest / 100)) % digests.length]], 'cold');
  } else {
    admitted([digests[rank()], digests[rank()], digests[rank()]]);
  }
}

const layers = {};
function layer(digest) {
  if (!layers[digest]) layers[digest] = manifest(digest).json('layers.1.digest');
  return layers[digest];
}
