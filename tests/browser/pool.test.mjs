// The demo with the users of a user pool that is not its own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, Person, Sandbox } from './harness.mjs';

const { PASSWORD, SANDBOX_URL, USER_POOL_ID } = process.env;
const sandbox = Sandbox.at(SANDBOX_URL);
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser.close());

test('the pages say whose the accounts are, and where they are made', async () => {
  const person = await Person.enter(browser, sandbox, { viewport: { width: 360, height: 740 } });
  const { page } = person;
  for (const path of ['/login', '/signup', '/inspector']) {
    await person.goto(path);
    await page.locator('#of-pool').getByText(USER_POOL_ID).waitFor();
    assert.equal(await page.getByText('correct-horse').count(), 0, path);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${path} is ${wide} px too wide`);
    assert.deepEqual(await person.violations(), [], path);
  }
  await person.goto('/signup');
  assert.ok(!(await page.locator('form').isVisible()));
  await person.leave();
});

test('by password, then by passkey, in each option', async () => {
  const person = await Person.enter(browser, sandbox);
  const { page } = person;
  await person.authenticator();
  await person.goto('/login');
  assert.ok(await page.getByLabel('1 · System extension').isChecked());
  await person.passwordLogin('usr-ada', 'wrong');
  await page.getByRole('alert').getByText(/password/i).waitFor();
  person.complaints = person.complaints.filter((text) => !/400 \(Bad Request\)/.test(text));
  await person.passwordLogin('usr-ada', PASSWORD);
  await person.arrive('/append');
  await person.acceptPasskey();

  const options = {
    '1 · System extension': '/pool/',
    '2 · Custom endpoint': '/auth/passkey/verify',
    '3 · Post-login action': null,
  };
  for (const [option, path] of Object.entries(options)) {
    await person.signOut();
    const choice = page.getByLabel(option);
    if (!(await choice.isChecked())) {
      const told = page.waitForResponse((response) => response.url().endsWith('/demo/option'));
      await choice.check();
      await told;
    }
    const called = new Set();
    const note = (request) => called.add(new URL(request.url()).pathname);
    page.on('request', note);
    await page.getByRole('button', { name: /login with passkey/i }).click();
    await person.arrive('/profile');
    await page.locator('#user-id').getByText('usr-ada').waitFor();
    await page.locator('#passkey-list .cb-passkey-list-item').waitFor();
    page.off('request', note);
    const ends = Object.values(options).filter((end) => end && called.has(end));
    assert.deepEqual(ends, path ? [path] : [], option);
  }
  await person.leave();
});
