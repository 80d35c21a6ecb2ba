// Starts the sandbox and a browser with a virtual authenticator, and tells what a page has complained about.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { freePort } from '../support/free_port.mjs';

// Where `make browser` has installed the tools; they are not kept in the tree.
const tools = createRequire(join(process.env.BROWSER_TOOLS, 'package.json'));
const { chromium } = tools('playwright-core');
const AXE = readFileSync(tools.resolve('axe-core/axe.min.js'), 'utf8');

/** What a console may show, and why. */
const TOLERATED = [
  // A browser notes each refusal of the network as an error; these are asked for.
  /401 \(Unauthorized\)/,
];

/** The sandbox as a process of its own. */
export class Sandbox {
  #state;
  #process;
  #more;

  /** Starts one, with more arguments. */
  static async start(more = []) {
    const sandbox = new Sandbox();
    sandbox.#more = more;
    sandbox.#state = await mkdtemp(join(tmpdir(), 'sandbox-'));
    // A restart must find them free again.
    await sandbox.#run(await freePort(), await freePort());
    return sandbox;
  }

  /** One that runs already. */
  static at(url) {
    return Object.assign(new Sandbox(), { url });
  }

  async #run(port, functionsPort) {
    const { SANDBOX, BUNDLE } = process.env;
    this.#process = spawn(
      SANDBOX,
      ['run', '--port', `${functionsPort}`, '--pages-port', `${port}`, '--bundle', BUNDLE, ...this.#more],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env.PATH, XDG_STATE_HOME: this.#state } },
    );
    const lines = createInterface({ input: this.#process.stdout });
    for await (const line of lines) {
      const found = /^Open (http:\/\/localhost:\d+)/.exec(line);
      if (found) this.url = found[1];
      const api = /^The Frontend API for pages of your own: (http:\/\/localhost:\d+)/.exec(line);
      if (api) this.frontendApi = api[1];
      if (line.includes('/lambda-url/pre-login')) {
        this.functionsPort = new URL(line.trim()).port;
        break;
      }
    }
    assert.ok(this.url, 'the sandbox does not start');
    this.#process.stdout.resume();
  }

  /** Stops it and starts it again, on the same ports and with what it has kept. */
  async restart() {
    await this.#end();
    await this.#run(new URL(this.url).port, this.functionsPort);
  }

  async #end() {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGINT');
    await ended;
  }

  async stop() {
    await this.#end();
    await rm(this.#state, { recursive: true, force: true });
  }

  /** What the inspector shows of users and switches. */
  async state() {
    return (await fetch(`${this.url}/inspector/state`)).json();
  }

  async user(name) {
    return (await this.state()).users.find((user) => user.username === name);
  }

  /** Changes switches. */
  async switch(changes) {
    const { switches } = await this.state();
    const response = await fetch(`${this.url}/inspector/switches`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...switches, ...changes }),
    });
    assert.equal(response.status, 204);
  }
}

/** A person with a browser of their own. */
export class Person {
  #tolerated = [...TOLERATED];
  complaints = [];
  /** Where else pages may go. */
  origins = [];

  static async enter(browser, sandbox, options = {}) {
    const person = new Person();
    person.sandbox = sandbox;
    person.context = await browser.newContext({ baseURL: sandbox.url, ...options });
    person.page = await person.open();
    return person;
  }

  /** Opens another tab. The first one has the authenticator. */
  async open() {
    const page = await this.context.newPage();
    page.setDefaultTimeout(60_000);
    const complain = (text) => {
      if (!this.#tolerated.some((tolerated) => tolerated.test(text))) this.complaints.push(text);
    };
    page.on('console', (message) => message.type() === 'error' && complain(`${message.text()} ${message.location().url}`));
    page.on('pageerror', (error) => complain(`uncaught: ${error.message}`));
    page.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (!['null', this.sandbox.url, ...this.origins].includes(origin)) complain(`left this machine: ${request.url()}`);
    });
    return page;
  }

  /** Tolerates a complaint that a test asks for. */
  tolerate(pattern) {
    this.#tolerated.push(pattern);
  }

  /** Plugs an authenticator in; without presence nobody touches it. */
  async authenticator(presence = true, page = this.page) {
    this.cdp = await this.context.newCDPSession(page);
    await this.cdp.send('WebAuthn.enable');
    const { authenticatorId } = await this.cdp.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: presence,
        defaultBackupEligibility: true,
        defaultBackupState: true,
      },
    });
    this.authenticatorId = authenticatorId;
  }

  async present(enabled) {
    const { authenticatorId } = this;
    await this.cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled });
  }

  /** Without verification the browser says that the user cancelled. */
  async cancelling(cancelling) {
    const { authenticatorId } = this;
    await this.cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: !cancelling });
  }

  async goto(path, page = this.page) {
    await page.goto(path);
    await page.locator('body[data-ready]').waitFor();
  }

  /** Waits for a page of the site. */
  async arrive(path) {
    await this.page.waitForURL((url) => url.pathname === path);
    if (path !== '/append') await this.page.locator('body[data-ready]').waitFor();
  }

  async signUp(name) {
    await this.goto('/signup');
    await this.page.getByLabel('Name', { exact: true }).fill(name);
    await this.page.getByLabel('E-mail').fill(`${name}@example.com`);
    await this.page.getByLabel('Password').fill('long enough');
    await this.page.getByRole('button', { name: 'Create account' }).click();
    await this.arrive('/append');
  }

  /** Creates the passkey that the append page offers. */
  async acceptPasskey() {
    await this.page.getByRole('button', { name: /^(activate|create)/i }).click();
    await this.page.getByRole('button', { name: /continue/i }).click();
    await this.arrive('/profile');
  }

  async signOut() {
    await this.page.getByRole('button', { name: 'Sign out' }).click();
    await this.arrive('/login');
  }

  /** Signs in with the classic form. */
  async passwordLogin(name, password = 'correct-horse') {
    const classic = this.page.locator('#classic-login');
    if (!(await classic.isVisible())) {
      await this.page.getByRole('button', { name: 'Use your password instead' }).click();
    }
    await classic.getByLabel('User name or e-mail').fill(name);
    await classic.getByLabel('Password').fill(password);
    await classic.getByRole('button', { name: 'Sign in' }).click();
  }

  /** Types an identifier into the component's own form. */
  async passkeyLogin(identifier) {
    const component = this.page.locator('#passkey-login');
    await component.locator('input').fill(identifier);
    await component.getByRole('button').first().click();
  }

  /** The serious violations that axe-core finds. */
  async violations() {
    // A script element would be refused by the pages' policy.
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run(document));
    return violations
      .filter(({ impact }) => ['serious', 'critical'].includes(impact))
      .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
  }

  async leave() {
    await this.context.close();
    assert.deepEqual(this.complaints, []);
  }
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    // In a container there is no other sandbox to be had.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
}
