// What scripts/page checks: page-check.cjs URL OUTPUT
const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');

const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const [, , address, output] = process.argv;
const { origin, username, password } = new URL(address);
let passed = 0;
let failed = 0;

async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n        ${String(error.message).split('\n').join('\n        ')}`);
  }
}

function expect(holds, message) {
  if (!holds) throw new Error(message);
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  const context = await browser.newContext({ httpCredentials: { username, password }, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const elsewhere = [];
  const complaints = [];
  page.on('request', (request) => { if (!request.url().startsWith(origin)) elsewhere.push(request.url()); });
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  const text = () => page.locator('main').innerText();

  await check('nobody sees it without the token', async () => {
    const stranger = await browser.newContext();
    for (const part of ['/', '/policies', '/images', '/health', '/why?about=x']) {
      const answer = await stranger.request.get(origin + part);
      expect(answer.status() === 401, `${part}: ${answer.status()}`);
    }
    await stranger.close();
  });
  const parts = { decisions: '/', policies: '/policies', images: '/images', health: '/health' };
  for (const [name, part] of Object.entries(parts)) {
    await page.goto(origin + part);
    await page.screenshot({ path: path.join(output, `${name}.png`), fullPage: true });
    await check(`${name}: axe finds nothing`, async () => {
      // By the debugger, since the page itself lets no script run.
      const found = await page.evaluate(async (source) => {
        (0, eval)(source);
        const { violations } = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] });
        return violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html).join(' ')}`);
      }, axe);
      expect(found.length === 0, found.join('\n'));
    });
  }
  await page.goto(origin);
  await check('what was denied is listed, with why', async () => {
    const shown = await text();
    expect(shown.includes('registry.example/acme/unsigned:v1'), shown);
    expect(shown.includes('registry.example/acme/forged:v1'), shown);
  });
  await check('what a policy only warns of is listed as what would be denied', async () => {
    const shown = await text();
    expect(shown.split('Would be denied').pop().includes('registry.example/legacy/batch:v1'), shown);
  });
  await check('a search finds an image, and a decision says who signed instead', async () => {
    await page.getByLabel('Pod, image, digest or decision').fill('registry.example/acme/forged:v1');
    await page.keyboard.press('Enter');
    await page.locator('tbody th a').first().click();
    const shown = await text();
    expect(shown.includes('mallory/app'), shown);
    await page.screenshot({ path: path.join(output, 'decision.png'), fullPage: true });
  });
  await check('a Pod is found by its name', async () => {
    await page.goto(`${origin}/?about=demo`);
    expect((await text()).includes('CREATE Pod demo/demo'), await text());
  });
  await check('policies are counted, and images named with who signed them', async () => {
    await page.goto(`${origin}/policies`);
    expect((await text()).includes('acme-is-signed'), await text());
    await page.goto(`${origin}/images`);
    const shown = await text();
    expect(/acme\/app@sha256:[0-9a-f]{64}/.test(shown) && shown.includes('release.yaml@refs/heads/main'), shown);
  });
  await check('the keyboard reaches every part in order, and the content first', async () => {
    await page.goto(origin);
    const order = [];
    for (let step = 0; step < 7; step += 1) {
      await page.keyboard.press('Tab');
      order.push(await page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.name));
    }
    expect(order.join() === 'Skip to content,Decisions,Policies,Images,Health,about,Search', order.join());
  });
  await check('a narrow window scrolls no page sideways', async () => {
    await page.setViewportSize({ width: 360, height: 700 });
    for (const part of Object.values(parts)) {
      await page.goto(origin + part);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(over <= 0, `${part}: ${over} pixels`);
    }
  });
  await check('nothing came from anywhere else, and nothing was blocked', async () => {
    expect(elsewhere.length === 0, elsewhere.join('\n'));
    expect(complaints.length === 0, complaints.join('\n'));
  });
  await browser.close();
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

main();
