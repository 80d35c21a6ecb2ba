// What people do: from sign-up to the list of their passkeys, in every way that is there.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { launch, Person, Sandbox } from './harness.mjs';

let browser;
let sandbox;
let names = 0;
let name;

before(async () => {
  [browser, sandbox] = await Promise.all([launch(), Sandbox.start()]);
});
after(async () => {
  await browser.close();
  await sandbox.stop();
});
beforeEach(() => {
  names += 1;
  name = `person${names}`;
});

/** Somebody who has signed up and created a passkey. */
async function somebody() {
  const person = await Person.enter(browser, sandbox);
  await person.authenticator();
  await person.signUp(name);
  await person.acceptPasskey();
  return person;
}

const email = () => `${name}@example.com`;

test('sign-up, passkey, sign-out; then by one-tap, by identifier, by autofill', async () => {
  const person = await somebody();
  const { page } = person;
  await page.getByRole('heading', { name: `Hello, ${name}` }).waitFor();
  await page.locator('#passkey-list .cb-passkey-list-item').waitFor();
  const user = await sandbox.user(email());
  assert.equal(user.preferredMfa, 'passkey');
  assert.equal(user.passkeys.length, 1);

  await person.signOut();
  assert.equal((await sandbox.user(email())).sessions.length, 0);
  await page.goto('/profile');
  await person.arrive('/login');

  // The browser knows who was here.
  await page.getByRole('button', { name: /login with passkey/i }).click();
  await person.arrive('/profile');
  await person.signOut();

  // With the authenticator at hand, autofill would be faster than the form.
  await person.present(false);
  await page.getByText('Switch Account').click();
  await page.locator('#passkey-login input').waitFor();
  await person.present(true);
  await person.passkeyLogin(email());
  await person.arrive('/profile');
  await person.signOut();

  // With a passkey at hand and nobody's name known, the browser fills in by itself.
  await page.evaluate(() => localStorage.clear());
  await page.goto('/login');
  await person.arrive('/profile');
  await page.getByRole('heading', { name: `Hello, ${name}` }).waitFor();
  assert.equal((await sandbox.user(email())).sessions.length, 1);
  await person.leave();
});

test('the append page comes after every login, and is over at once where there is a passkey', async () => {
  const person = await somebody();
  await person.signOut();
  const seen = [];
  person.page.on('framenavigated', (frame) => {
    if (frame === person.page.mainFrame()) seen.push(new URL(frame.url()).pathname);
  });
  await person.page.getByRole('button', { name: /login with passkey/i }).click();
  await person.arrive('/profile');
  assert.deepEqual(seen, ['/append', '/profile']);
  await person.leave();
});

test('a passkey can wait: by the component’s word and by the page’s', async () => {
  for (const skip of [
    (page) => page.getByText('Skip', { exact: true }).click(),
    (page) => page.getByRole('button', { name: 'Not now' }).click(),
  ]) {
    name += 'x';
    const person = await Person.enter(browser, sandbox);
    await person.authenticator();
    await person.signUp(name);
    await person.page.getByRole('button', { name: 'Activate passkey' }).waitFor();
    await skip(person.page);
    await person.arrive('/profile');
    assert.equal((await sandbox.user(email())).passkeys.length, 0);
    await person.signOut();
    // Without a passkey the classic login takes over, with what was typed.
    await person.passkeyLogin(email());
    await person.page.locator('#classic-login').waitFor();
    assert.equal(await person.page.getByLabel('User name or e-mail').inputValue(), email());
    await person.passwordLogin(email(), 'long enough');
    await person.page.getByRole('button', { name: 'Activate passkey' }).waitFor();
    await person.leave();
  }
});

test('passkeys are listed, added and deleted; a deleted one no longer opens the door', async () => {
  const person = await Person.enter(browser, sandbox);
  const { page } = person;
  await person.authenticator();
  await person.signUp(name);
  await page.getByRole('button', { name: 'Not now' }).click();
  await person.arrive('/profile');
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  const items = page.locator('#passkey-list .cb-passkey-list-item');
  await items.waitFor();
  // The same device has one already.
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByText('No passkey created').waitFor();
  await page.locator('.cb-modal-button-primary').click();
  await page.locator('.cb-modal').waitFor({ state: 'detached' });

  await items.locator('.cb-passkey-list-item-delete-icon > *').click();
  await page.locator('.cb-modal-button-primary').click();
  await items.waitFor({ state: 'detached' });
  assert.equal((await sandbox.user(email())).passkeys.length, 0);

  await person.signOut();
  await person.present(false);
  await page.goto('/login');
  await page.locator('#passkey-login input').waitFor();
  await person.present(true);
  await person.passkeyLogin(email());
  await page.locator('#classic-login').waitFor();
  await person.leave();
});

test('autofill with a passkey that was deleted elsewhere falls back', async () => {
  const person = await somebody();
  person.tolerate(/404 \(Not Found\)/);
  await person.signOut();
  const user = await sandbox.user(email());
  const response = await fetch(`${sandbox.url}/inspector/delete-passkey`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user: user.id, id: user.passkeys[0].id }),
  });
  assert.equal(response.status, 204);
  await person.page.evaluate(() => localStorage.clear());
  await person.page.goto('/login');
  await person.page.locator('#classic-login').waitFor();
  await person.page.getByRole('alert').getByText(/deleted/).waitFor();
  await person.leave();
});

test('nobody knows this user', async () => {
  const person = await Person.enter(browser, sandbox);
  await person.goto('/login');
  await person.passkeyLogin('nobody@example.com');
  await person.page.getByText('There is no account registered with this email.').waitFor();
  await person.leave();
});

test('a cancelled ceremony is asked about, and the password is still there', async () => {
  const person = await somebody();
  await person.signOut();
  await person.cancelling(true);
  await person.page.getByRole('button', { name: /login with passkey/i }).click();
  await person.page.getByText(/use password instead/i).click();
  await person.passwordLogin(email(), 'long enough');
  await person.arrive('/profile');
  await person.leave();
});

test('a cancelled registration stays on its page', async () => {
  const person = await Person.enter(browser, sandbox);
  await person.authenticator();
  await person.signUp(name);
  await person.cancelling(true);
  await person.page.getByRole('button', { name: 'Activate passkey' }).click();
  await person.page.getByText(/cancel/i).first().waitFor();
  await person.cancelling(false);
  await person.acceptPasskey();
  await person.leave();
});

test('users who may not sign in are sent to the classic login, which refuses them', async () => {
  for (const user of ['alan@example.com', 'linus@example.com']) {
    const person = await Person.enter(browser, sandbox);
    person.tolerate(/403 \(Forbidden\)/);
    await person.goto('/login');
    await person.passkeyLogin(user);
    await person.page.locator('#classic-login').waitFor();
    await person.passwordLogin(user);
    await person.page.getByRole('alert').getByText(/may not sign in/).waitFor();
    await person.leave();
  }
});

test('two tabs sign in one after the other', async () => {
  const person = await somebody();
  await person.signOut();
  const other = await person.open();
  await person.goto('/login', other);
  await other.getByRole('button', { name: /login with passkey/i }).waitFor();
  await person.page.getByRole('button', { name: /login with passkey/i }).click();
  await person.arrive('/profile');
  await other.reload();
  await other.goto('/profile');
  await other.getByRole('heading', { name: `Hello, ${name}` }).waitFor();
  await other.getByRole('button', { name: 'Sign out' }).click();
  await other.waitForURL((url) => url.pathname === '/login');
  await person.page.reload();
  await person.arrive('/login');
  await person.leave();
});

test('a restart between append and login is not noticed', async () => {
  const person = await somebody();
  await person.page.locator('#passkey-list .cb-passkey-list-item').waitFor();
  await sandbox.restart();
  await person.page.reload();
  await person.page.getByRole('heading', { name: `Hello, ${name}` }).waitFor();
  await person.signOut();
  await person.page.getByRole('button', { name: /login with passkey/i }).click();
  await person.arrive('/profile');
  await person.leave();
});
