// The actions against the real functions, behind the local host.
//
// BINARIES is the folder of the compiled functions: target/debug, unless set.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { freePort } from '../support/free_port.mjs';
import { ACTIONS, newSecret, paste, plain, REPOSITORY, temporary } from './support.mjs';

const BINARIES = process.env.BINARIES || join(REPOSITORY, 'target/debug');
/** When the samples below events/ were made, in seconds since the epoch. */
const MADE_AT = Date.UTC(2026, 0, 1) / 1000;

const hosts = [];
let host;

/** Starts a local host of its own: its own port, state and secrets. */
async function start(settings = {}) {
  const state = temporary();
  const port = await freePort();
  const environment = { PATH: process.env.PATH, HOME: state, XDG_STATE_HOME: state, ...settings };
  const options = { env: environment, stdio: ['ignore', 'ignore', 'pipe'] };
  const child = spawn(join(BINARIES, 'sandbox'), ['run', '--port', `${port}`, '--pages-port', `${await freePort()}`], options);
  const errors = [];
  child.stderr.on('data', (chunk) => errors.push(chunk));
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`ended: ${code ?? signal}`));
  });
  hosts.push({ child, ended });
  const url = `http://127.0.0.1:${port}`;
  for (let round = 0; !(await answers(url)); round += 1) {
    const early = await Promise.race([ended, pause(100)]);
    assert.ok(early === undefined && round < 300, `${BINARIES}/sandbox: ${early} ${Buffer.concat(errors)}`);
  }
  const secrets = readFileSync(join(state, 'corbado-connect-lambda/signing-secrets.json'), 'utf8');
  return { url, secrets: JSON.parse(secrets) };
}

before(async () => {
  host = await start();
});

after(async () => {
  for (const { child, ended } of hosts) {
    child.kill('SIGINT');
    const late = pause(5000, 'late', { ref: false });
    if ((await Promise.race([ended, late])) === 'late') child.kill('SIGKILL');
    await ended;
  }
});

// Even when this process ends before its time.
process.on('exit', () => hosts.forEach(({ child }) => child.kill('SIGKILL')));

async function answers(url) {
  return fetch(url).then((response) => response.ok, () => false);
}

/** The action in front of its function, with a generous time limit: this may be a slow machine. */
function inFront(action, { at = host, ...settings } = {}) {
  const url = `${at.url}/lambda-url/${action}`;
  return paste(action, { url, secret: at.secrets[action], timeout: '20000', ...settings });
}

/** A sample's token as a new one of now: the local host's stand-in for Corbado reads its verdict from the signature. */
function renew(token) {
  const [header, claims, signature] = token.split('.');
  if (signature === undefined) return token;
  const moved = JSON.parse(Buffer.from(claims, 'base64url'));
  const shift = Math.floor(Date.now() / 1000) - MADE_AT;
  for (const name of ['iat', 'nbf', 'exp']) if (name in moved) moved[name] += shift;
  moved.jti = randomUUID();
  return [header, Buffer.from(JSON.stringify(moved)).toString('base64url'), signature].join('.');
}

/** The samples that are events themselves, in no envelope. */
function samples(action) {
  const folder = join(REPOSITORY, 'events', action);
  const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json') && !name.endsWith('.expected.json'))
    .map((name) => ({ name, event: read(name), expected: read(name.replace('.json', '.expected.json')) }))
    .filter(({ event }) => !['requestContext', 'httpMethod', 'rawPath', 'headers', 'body'].some((key) => key in event));
}

const KINDS = {
  '<session id>': /^[\w-]{43}$/,
  '<timestamp>': /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
  '<request id>': /^.{1,64}$/,
};

/** Puts the placeholder where the answer has any text of that kind. */
function generalise(expected, answer) {
  const entries = Object.entries(answer).map(([name, value]) => {
    const placeholder = expected[name];
    return [name, KINDS[placeholder]?.test(value) ? placeholder : value];
  });
  return Object.fromEntries(entries);
}

for (const action of Object.keys(ACTIONS)) {
  test(`${action}: every sample event gets its answer`, async (t) => {
    const call = await inFront(action);
    const all = samples(action);
    assert.ok(all.length >= 5, `${all.length} samples`);
    for (const { name, event, expected } of all) {
      await t.test(name, async () => {
        const token = event.signedPasskeyData;
        const sent = typeof token === 'string' ? { ...event, signedPasskeyData: renew(token) } : event;
        const { statusCode, body, line } = await call(sent);
        assert.deepEqual({ statusCode, body: generalise(expected.body, body) }, expected);
        assert.deepEqual(line, statusCode === 200 ? undefined : { action, code: 'refused', status: statusCode });
      });
    }
  });

  test(`${action}: passes the refusal of another secret on`, async () => {
    for (const secret of [newSecret(), host.secrets[action === 'pre-login' ? 'post-login' : 'pre-login']]) {
      const { statusCode, body } = await (await inFront(action, { secret }))(ACTIONS[action].event);
      assert.equal(statusCode, 401);
      assert.equal(body.error, 'unauthenticated');
    }
  });

  test(`${action}: passes the refusal of bad events on`, async () => {
    const call = await inFront(action);
    for (const event of [undefined, null, 'planted', [], {}, { username: 7, userId: 7, identifier: 7 }]) {
      const { statusCode, body } = await call(event);
      assert.equal(statusCode, 400);
      assert.equal(body.error, 'invalid_request');
    }
    const { statusCode, body } = await call({ ...ACTIONS[action].event, more: 'x'.repeat(64 * 1024) });
    assert.equal(statusCode, 413);
    assert.equal(body.error, 'too_large');
  });

  test(`${action}: does without a function that the host does not have`, async () => {
    const call = await inFront(action, { url: `${host.url}/lambda-url/no-such-function` });
    const result = await call(ACTIONS[action].event);
    assert.deepEqual(plain(result), ACTIONS[action].failed);
    assert.deepEqual(result.line, { action, code: 'no_answer', status: 403 });
  });
}

test('post-login: opens a session each time it is called, and each holds', async () => {
  const call = await inFront('post-login');
  const answers = [await call({ userId: 'usr-ada' }), await call({ userId: 'usr-ada' })];
  const sessions = answers.map(({ body }) => body.sessionId);
  assert.notEqual(sessions[0], sessions[1]);
  for (const session of sessions) {
    const headers = { authorization: `Bearer ${session}` };
    const answer = await fetch(`${host.url}/lambda-url/auth-api/auth/session`, { headers });
    assert.equal(answer.status, 200);
    assert.equal((await answer.json()).user.id, 'usr-ada');
  }
});

test('post-login: a token serves once', async () => {
  const call = await inFront('post-login');
  const { event } = samples('post-login').find(({ name }) => name === 'signed-passkey-data.json');
  const sent = { signedPasskeyData: renew(event.signedPasskeyData) };
  assert.equal((await call(sent)).statusCode, 200);
  const again = await call(sent);
  assert.equal(again.statusCode, 401);
  assert.equal(again.body.error, 'proof_rejected');
});

test('the actions fail in the words of the functions', async () => {
  const at = await start({
    AUTH_SYSTEM: 'rest',
    AUTH_SYSTEM_URL: `http://127.0.0.1:${await freePort()}`,
    AUTH_SYSTEM_BEARER_TOKEN: 'planted',
  });
  for (const [action, { failed }] of Object.entries(ACTIONS)) {
    const call = await inFront(action, { at });
    const { statusCode, body } = await call({ identifier: 'planted', userId: 'planted', username: 'planted' });
    delete body.requestId;
    assert.deepEqual({ statusCode, body }, failed, action);
  }
});
