// The pages themselves: phones, keyboards, screen readers, the inspector.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
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

const LOOKS = [
  ['phone-light', { viewport: { width: 360, height: 740 }, colorScheme: 'light' }],
  ['phone-dark', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
  ['desk-light', { viewport: { width: 1200, height: 900 }, colorScheme: 'light' }],
  ['desk-dark', { viewport: { width: 1200, height: 900 }, colorScheme: 'dark' }],
];

for (const [look, options] of LOOKS) {
  test(`every page on ${look}`, async () => {
    const person = await Person.enter(browser, sandbox, options);
    const { page } = person;
    await person.authenticator(false);
    const check = async (what) => {
      if (process.env.PICTURES) {
        await mkdir(process.env.PICTURES, { recursive: true });
        await page.screenshot({ path: join(process.env.PICTURES, `${what}-${look}.png`), fullPage: true });
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${what} is ${wide} px too wide`);
      assert.deepEqual(await person.violations(), [], what);
    };
    await person.goto('/login');
    await page.locator('#passkey-login input').waitFor();
    await check('login');
    await page.getByRole('button', { name: 'Use your password instead' }).click();
    await check('login-classic');
    await person.goto('/signup');
    await check('signup');
    await person.signUp(look);
    await page.getByRole('button', { name: 'Activate passkey' }).waitFor();
    await check('append');
    await person.present(true);
    await page.getByRole('button', { name: 'Activate passkey' }).click();
    await page.getByRole('button', { name: 'Continue' }).waitFor();
    await check('append-done');
    await page.getByRole('button', { name: 'Continue' }).click();
    await person.arrive('/profile');
    await page.locator('#passkey-list .cb-passkey-list-item').waitFor();
    await check('profile');
    await person.signOut();
    await page.getByRole('button', { name: /login with passkey/i }).waitFor();
    await check('login-one-tap');
    await person.goto('/inspector');
    await page.locator('#journal > li').first().waitFor();
    await check('inspector');
    await person.leave();
  });
}

test('what is wrong is found', async () => {
  const person = await Person.enter(browser, sandbox);
  await person.goto('/signup');
  await person.page.evaluate(() => document.querySelector('main').append(document.createElement('input')));
  assert.match((await person.violations()).join(), /^label/);
  await person.leave();
});

test('a keyboard is enough, from sign-up to sign-out', async () => {
  const person = await Person.enter(browser, sandbox);
  const { page } = person;
  await person.authenticator();
  const press = (key) => page.keyboard.press(key);
  /** Goes to a control by the keys alone. */
  const tabTo = async (name) => {
    for (let step = 0; step < 40; step += 1) {
      await press('Tab');
      const label = await page.evaluate(() => {
        const at = document.activeElement;
        return (at.labels?.[0]?.textContent ?? at.ariaLabel ?? at.textContent).trim();
      });
      if (label.startsWith(name)) return;
    }
    assert.fail(`no way to ${name}`);
  };
  await person.goto('/login');
  // The component takes the focus when it has loaded.
  await page.locator('#passkey-login input:focus').waitFor();
  await tabTo('Create an account');
  await press('Enter');
  await person.arrive('/signup');
  await tabTo('Name');
  await page.keyboard.type('Keys');
  await tabTo('E-mail');
  await page.keyboard.type('keys@example.com');
  await tabTo('Password');
  await page.keyboard.type('long enough');
  await press('Enter');
  await person.arrive('/append');
  await page.getByRole('button', { name: 'Activate passkey' }).waitFor();
  await tabTo('Not now');
  await press('Enter');
  await person.arrive('/profile');
  await tabTo('Add a passkey');
  await press('Enter');
  await page.locator('#passkey-list .cb-passkey-list-item').waitFor();
  await page.locator('body').evaluate((body) => body.focus());
  await page.reload();
  await page.locator('body[data-ready]').waitFor();
  await tabTo('Sign out');
  await press('Enter');
  await person.arrive('/login');
  await page.getByRole('button', { name: /login with passkey/i }).waitFor();
  await tabTo('Login with passkey');
  await press('Enter');
  await person.arrive('/profile');
  await person.leave();
});

test('the inspector shows it live, and ends sessions', async () => {
  const person = await Person.enter(browser, sandbox);
  await person.authenticator();
  const inspector = await person.open();
  await person.goto('/inspector', inspector);
  // Browsers ask for passkeys in the foreground only.
  await person.page.bringToFront();
  await person.signUp('watched');
  await inspector.locator('#journal').getByText('sign-up').first().waitFor();
  await person.acceptPasskey();
  const user = inspector.locator('.user', { hasText: 'watched@example.com' });
  await user.getByText('MFA · passkey').waitFor();
  await user.getByText(/^Passkey · Chrome on Linux/).waitFor();
  await inspector.locator('#journal summary', { hasText: 'append/finish' }).first().click();
  const shown = await inspector.locator('#journal pre', { hasText: 'attestationResponse' }).first().textContent();
  assert.match(shown, /…/);

  await user.getByRole('button', { name: /^End/ }).click();
  await user.getByText(/^Session/).waitFor({ state: 'detached' });
  await person.page.reload();
  await person.arrive('/login');

  await inspector.getByLabel('Login with passkeys').uncheck();
  await inspector.waitForTimeout(300);
  await person.page.reload();
  await person.page.locator('#classic-login').waitFor();
  await inspector.getByLabel('Login with passkeys').check();
  await inspector.getByLabel('pre-login').selectOption('answers 500');
  await inspector.waitForTimeout(300);
  assert.deepEqual((await sandbox.state()).switches.faults, { 'pre-login': 'answers500' });
  await inspector.getByLabel('pre-login').selectOption('works');
  await user.getByRole('button', { name: /^Delete/ }).click();
  await user.getByText(/^Passkey/).waitFor({ state: 'detached' });
  await inspector.getByRole('button', { name: 'Clear' }).click();
  await inspector.locator('#journal > li').first().waitFor({ state: 'detached' });
  await person.leave();
});
