// The three ways from a passkey to a session, each through the functions; and what a user sees when something fails.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, Person, Sandbox } from './harness.mjs';

let browser;
let sandbox;

before(async () => {
  [browser, sandbox] = await Promise.all([launch(), Sandbox.start()]);
});
after(async () => {
  await browser.close();
  await sandbox.stop();
});

/** The titles of what has happened, oldest first. */
async function journal() {
  const response = await fetch(`${sandbox.url}/inspector/journal`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  // The journal so far comes at once; then it waits.
  for (;;) {
    const more = await Promise.race([reader.read(), new Promise((done) => setTimeout(done, 500, { done: true }))]);
    if (more.done) break;
    text += more.value;
  }
  await reader.cancel();
  const entries = text.split('\n').filter((line) => line.startsWith('data:'));
  return entries.map((line) => JSON.parse(line.slice(5)));
}

async function forget() {
  const headers = { 'content-type': 'application/json' };
  await fetch(`${sandbox.url}/inspector/clear`, { method: 'POST', headers, body: 'null' });
}

const options = [
  ['1 · System extension', ['InitiateAuth', 'custom-auth: VerifyAuthChallengeResponse', 'custom-auth: DefineAuthChallenge']],
  ['2 · Custom endpoint', ['POST /auth/passkey/verify', 'auth-api: session created']],
  ['3 · Post-login action', ['post-login', 'post-login: session created']],
];

for (const [option, expected] of options) {
  test(`option ${option}`, async () => {
    const name = `user-${option[0]}`;
    const person = await Person.enter(browser, sandbox);
    const { page } = person;
    await person.goto('/login');
    const choice = page.getByLabel(option);
    if (!(await choice.isChecked())) {
      const told = page.waitForResponse((response) => response.url().endsWith('/demo/option'));
      await choice.check();
      await told;
    }
    await person.authenticator();
    await person.signUp(name);
    await person.acceptPasskey();
    await page.locator('#passkey-list .cb-passkey-list-item').waitFor();
    await person.signOut();
    await forget();
    await page.getByRole('button', { name: /login with passkey/i }).click();
    await person.arrive('/profile');
    await page.getByRole('heading', { name: `Hello, ${name}` }).waitFor();
    const titles = (await journal()).map((entry) => entry.title);
    for (const title of expected) assert.ok(titles.includes(title), `${title} in ${titles.join(', ')}`);
    const others = options.filter(([other]) => other !== option).flatMap(([, titles]) => titles);
    for (const title of others) assert.ok(!titles.includes(title), `no ${title} in ${titles.join(', ')}`);
    // Signed out is signed out, in all three.
    await person.signOut();
    await page.goto('/profile');
    await person.arrive('/login');
    // The classic login is there in all three.
    await person.passwordLogin(`${name}@example.com`, 'wrong password');
    await page.getByRole('alert').getByText(/password/).waitFor();
    person.tolerate(/400 \(Bad Request\)/);
    await person.passwordLogin(`${name}@example.com`, 'long enough');
    await person.arrive('/profile');
    person.complaints = person.complaints.filter((text) => !/400 \(Bad Request\)/.test(text));
    await person.leave();
  });
}

/** A user with a passkey, signed out, in option 3. */
async function returning(name) {
  await sandbox.switch({ faults: {}, loginOption: 'post-login-action' });
  const person = await Person.enter(browser, sandbox);
  await person.authenticator();
  await person.signUp(name);
  await person.acceptPasskey();
  await person.signOut();
  return person;
}

for (const fault of ['answers500', 'wrong-signature', 'provider-throttled', 'times-out']) {
  test(`pre-login ${fault}: the classic login takes over`, async () => {
    const person = await returning(`pre-${fault}`);
    await sandbox.switch({ faults: { 'pre-login': fault } });
    await person.present(false);
    await person.page.getByText('Switch Account').click();
    await person.page.locator('#passkey-login input').waitFor();
    await person.passkeyLogin(`pre-${fault}@example.com`);
    await person.page.locator('#classic-login').waitFor();
    await person.passwordLogin(`pre-${fault}@example.com`, 'long enough');
    await person.arrive('/profile');
    await person.leave();
  });

  test(`post-login ${fault}: the classic login takes over`, async () => {
    const person = await returning(`post-${fault}`);
    person.tolerate(/500 \(Internal Server Error\)/);
    await sandbox.switch({ faults: { 'post-login': fault } });
    await person.page.getByRole('button', { name: /login with passkey/i }).click();
    await person.page.locator('#classic-login').waitFor();
    await person.page.getByRole('alert').getByText(/.+/).waitFor();
    await person.passwordLogin(`post-${fault}@example.com`, 'long enough');
    await person.arrive('/profile');
    await person.leave();
  });
}

test('post-append fails: the passkey is there, the MFA flag is not', async () => {
  await sandbox.switch({ faults: { 'post-append': 'wrong-signature' } });
  await forget();
  const person = await Person.enter(browser, sandbox);
  await person.authenticator();
  await person.signUp('unflagged');
  await person.acceptPasskey();
  const user = await sandbox.user('unflagged@example.com');
  assert.deepEqual([user.passkeys.length, user.mfaEnabled], [1, false]);
  const failed = (await journal()).find((entry) => entry.lane === 'action' && entry.outcome === 'failed');
  assert.deepEqual([failed.title, failed.status], ['post-append', 401]);
  await sandbox.switch({ faults: {} });
  await person.leave();
});

test('roll-outs that are off', async () => {
  await sandbox.switch({ loginAllowed: false, appendAllowed: false, manageAllowed: false });
  const person = await Person.enter(browser, sandbox);
  await person.authenticator();
  await person.page.goto('/login');
  await person.page.locator('#classic-login').waitFor();
  await person.passwordLogin('ada@example.com');
  // Nothing to append: straight on to the target.
  await person.arrive('/profile');
  await person.page.locator('#passkey-list .cb-connect').waitFor();
  assert.equal(await person.page.getByRole('button', { name: 'Add a passkey' }).count(), 0);
  await sandbox.switch({ loginAllowed: true, appendAllowed: true, manageAllowed: true });
  await person.leave();
});

/** Answers calls of a page in the functions' place. */
const answering = (status, message) => (route) => route.fulfill({ status, json: { message } });

test('a proof that is not taken after the component is done: the classic login takes over', async () => {
  const person = await returning('untaken');
  await sandbox.switch({ loginOption: 'custom-endpoint' });
  person.tolerate(/503 \(Service Unavailable\)/);
  const { page } = person;
  // The page has read its option already.
  await page.reload();
  await page.route('**/auth/passkey/verify', answering(503, 'Not now, please.'));
  await page.getByRole('button', { name: /login with passkey/i }).click();
  await page.locator('#classic-login').waitFor();
  await page.getByRole('alert').getByText('Not now, please.').waitFor();
  await person.passwordLogin('untaken@example.com', 'long enough');
  await person.arrive('/profile');
  await person.leave();
});

test('where nobody can tell who is signed in, the page says so; and nobody waits for it', async () => {
  const person = await returning('uncertain');
  person.tolerate(/503 \(Service Unavailable\)/);
  const { page } = person;
  await page.route('**/auth/session', answering(503, 'Who are you?'));
  await page.goto('/profile');
  await page.getByRole('alert').getByText('Who are you?').waitFor();
  await page.unroute('**/auth/session');
  // Does not answer at all.
  await page.route('**/auth/session', () => {});
  await page.goto('/append');
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.waitForURL((url) => url.pathname === '/profile');
  await person.leave();
});

test('an option that cannot be chosen is not shown as chosen', async () => {
  await sandbox.switch({ loginOption: 'custom-endpoint' });
  const person = await Person.enter(browser, sandbox);
  person.tolerate(/503 \(Service Unavailable\)/);
  const { page } = person;
  await person.goto('/login');
  await page.route('**/demo/option', answering(503, 'No choice.'));
  await page.getByLabel('3 · Post-login action').click();
  await page.getByRole('alert').getByText('No choice.').waitFor();
  assert.ok(await page.getByLabel('2 · Custom endpoint').isChecked());
  await person.leave();
});

/** An application of one's own at another origin: a page with a component, and nothing else. */
async function application() {
  const page = `<!doctype html><title>Another application</title><link rel="icon" href="data:,"><div id="login"></div>
    <script src="/connect.js"></script>`;
  const script = await readFile(join(process.env.BUNDLE, 'connect.js'));
  const server = createServer((request, response) => {
    const isScript = request.url === '/connect.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : page);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { server, origin: `http://localhost:${server.address().port}` };
}

test('another application mounts the components: by the prefix, and by the port of the Frontend API', async () => {
  const { server, origin } = await application();
  const own = await Sandbox.start(['--allow-origin', origin, '--frontend-api-port', '0']);
  try {
    const person = await Person.enter(browser, own);
    const { page } = person;
    await person.authenticator();
    await person.signUp('elsewhere');
    await person.acceptPasskey();
    person.origins = [origin, own.frontendApi];
    for (const frontendApiUrl of [`${own.url}/fapi`, own.frontendApi]) {
      const called = [];
      const note = (request) => called.push(request.url());
      page.on('request', note);
      await page.goto(origin);
      const signedIn = page.evaluate((url) => new Promise((onComplete, reject) => {
        globalThis.Corbado.mountCorbadoConnectLogin(document.getElementById('login'), {
          projectId: 'pro-sandbox',
          frontendApiUrl: url,
          onComplete,
          onFallback: () => reject(new Error('fallback')),
        });
      }), frontendApiUrl);
      // The first time the browser offers the passkey itself, and somebody is there; then it knows who was here.
      const oneTap = page.getByRole('button', { name: /login with passkey/i });
      await Promise.race([signedIn, oneTap.waitFor().then(() => oneTap.click())]);
      const proof = await signedIn;
      assert.equal(proof.split('.').length, 3);
      const calls = called.filter((url) => url.includes('/v2/connect/'));
      const steps = calls.map((url) => url.slice(frontendApiUrl.length));
      assert.ok(calls.every((url) => url.startsWith(`${frontendApiUrl}/v2/`)), calls.join(', '));
      for (const step of ['init', 'finish']) assert.ok(steps.includes(`/v2/connect/login/${step}`), steps.join(', '));
      page.off('request', note);
    }
    await person.leave();
  } finally {
    await own.stop();
    server.close();
  }
});
