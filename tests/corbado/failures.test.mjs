// The actions against a stub in the function's place: whatever it does, Corbado gets an answer, in time.

import assert from 'node:assert/strict';
import test from 'node:test';

import { freePort } from '../support/free_port.mjs';
import { ACTIONS, json, names, newSecret, paste, plain, stub, verify } from './support.mjs';

const WITHIN_MS = 10_000;

test('the verifier of these tests holds against the published vector', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const headers = {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  };
  const body = '{"test": 2432232314}';
  assert.ok(verify(secret, headers, body, 1614265330));
  assert.ok(!verify(secret, headers, `${body} `, 1614265330));
  assert.ok(!verify(secret, { ...headers, 'webhook-id': 'msg_other' }, body, 1614265330));
  assert.ok(!verify(newSecret(), headers, body, 1614265330));
  assert.ok(!verify(secret, headers, body, 1614265330 + 301));
});

for (const [action, { repeatable, event, answer, failed }] of Object.entries(ACTIONS)) {
  const secret = newSecret();
  const attempts = repeatable ? 2 : 1;

  /** The action in front of a stub; checks of every request that it is the event, signed, under an id of its own. */
  async function setUp(t, respond, { sent = event, timeout = '20000' } = {}) {
    const { url, requests } = await stub(t, respond);
    const call = await paste(action, { url, secret, timeout });
    return async () => {
      const before = requests.length;
      const result = await call(sent);
      const made = requests.slice(before);
      for (const { method, url, headers, body } of made) {
        assert.equal(`${method} ${url}`, 'POST /action');
        assert.equal(headers['content-type'], 'application/json');
        assert.equal(headers.connection, 'close');
        assert.equal(body, JSON.stringify(sent));
        assert.ok(verify(secret, headers, body), 'the signature holds');
      }
      const ids = requests.map(({ headers }) => headers['webhook-id']);
      assert.equal(new Set(ids).size, ids.length, 'no id is used twice');
      return { ...result, requests: made.length };
    };
  }

  test(`${action}: passes event and answer on as they are`, async (t) => {
    const sent = { ...event, more: [1, null, { deep: 'ünï 🔑' }], 'ключ': '\ud800' };
    const call = await setUp(t, (_, response) => json(response, 200, { ...answer, more: ['ö'] }), { sent });
    for (let round = 0; round < 3; round += 1) {
      const result = await call();
      assert.deepEqual(plain(result), { statusCode: 200, body: { ...answer, more: ['ö'] } });
      assert.equal(result.requests, 1);
      assert.equal(result.line, undefined);
    }
  });

  for (const status of [400, 401, 404, 409, 413, 500]) {
    test(`${action}: passes the function's ${status} on, asking once`, async (t) => {
      const body = { message: 'planted', error: 'planted', requestId: 'planted' };
      const call = await setUp(t, (_, response) => json(response, status, body));
      const result = await call();
      assert.deepEqual(plain(result), { statusCode: status, body });
      assert.equal(result.requests, 1);
      assert.deepEqual(result.line, { action, code: 'refused', status });
    });
  }

  for (const status of [429, 502, 503, 504]) {
    test(`${action}: meets a gateway's ${status}, once and for good`, async (t) => {
      // As the function words its own refusals: no gateway's answer is passed on, whatever it looks like.
      const busy = { message: 'planted', error: 'planted' };
      const once = await setUp(t, (_, response, number) => {
        if (number === 1) json(response, status, busy);
        else json(response, 200, answer);
      });
      const result = await once();
      assert.deepEqual(plain(result), repeatable ? { statusCode: 200, body: answer } : failed);
      assert.equal(result.requests, attempts);

      const always = await setUp(t, (_, response) => json(response, status, busy));
      const last = await always();
      assert.deepEqual(plain(last), failed);
      assert.equal(last.requests, attempts);
      assert.deepEqual(last.line, { action, code: 'busy', status });
    });
  }

  const broken = {
    'never answers': () => {},
    'stalls in the body': (_, response) => response.writeHead(200).write('{"planted":'),
  };
  for (const [name, respond] of Object.entries(broken)) {
    test(`${action}: gives up in time when the function ${name}`, { timeout: WITHIN_MS }, async (t) => {
      const result = await (await setUp(t, respond, { timeout: '2000' }))();
      assert.deepEqual(plain(result), failed);
      assert.equal(result.requests, attempts);
      assert.deepEqual(result.line, { action, code: 'timeout' });
    });
  }

  if (repeatable) {
    test(`${action}: has time for a second attempt after a stalled one`, { timeout: WITHIN_MS }, async (t) => {
      const respond = (_, response, number) => number > 1 && json(response, 200, answer);
      const call = await setUp(t, respond, { timeout: '2000' });
      assert.deepEqual(plain(await call()), { statusCode: 200, body: answer });
    });
  }

  const cut = {
    'before the answer': (request) => request.socket.resetAndDestroy(),
    'within the answer': (request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{"planted":', () => request.socket.destroy());
    },
  };
  for (const [name, respond] of Object.entries(cut)) {
    test(`${action}: survives a connection cut ${name}`, async (t) => {
      const always = await (await setUp(t, respond))();
      assert.deepEqual(plain(always), failed);
      assert.equal(always.requests, attempts);
      const once = await setUp(t, (request, response, number) => {
        if (number === 1) respond(request, response);
        else json(response, 200, answer);
      });
      assert.deepEqual(plain(await once()), repeatable ? { statusCode: 200, body: answer } : failed);
    });
  }

  const garbage = [
    [200, ''],
    [200, 'planted'],
    [200, '<html>planted</html>'],
    [200, '{"identifier":"planted"'],
    [200, '"planted"'],
    [200, 'null'],
    [200, '7'],
    [200, '[{"sessionId":"planted"}]'],
    [200, Buffer.from([0xff, 0xfe, 0x00])],
    [201, '{}'],
    [403, '{"message":"planted"}'],
    [404, '{"error":"planted","message":null}'],
    [500, '["message","error"]'],
    [500, 'planted'],
    [204, ''],
  ];
  test(`${action}: passes on nothing that is no answer of the function`, async (t) => {
    for (const [status, body] of garbage) {
      const result = await (await setUp(t, (_, response) => response.writeHead(status).end(body)))();
      assert.deepEqual(plain(result), failed, `${status} ${body}`);
      assert.equal(result.requests, 1, `${status} ${body}`);
      assert.deepEqual(result.line, { action, code: 'no_answer', status });
    }
  });

  for (const [status, code] of [[200, 'too_large'], [503, 'busy']]) {
    test(`${action}: hangs up on a ${status} whose body has no end`, { timeout: WITHIN_MS }, async (t) => {
      const hungUp = [];
      const call = await setUp(t, (request, response) => {
        hungUp.push(new Promise((resolve) => request.socket.once('close', resolve)));
        response.writeHead(status);
        const pour = () => !response.destroyed && response.write('"planted"'.repeat(1000), () => setImmediate(pour));
        pour();
      });
      const result = await call();
      assert.deepEqual(plain(result), failed);
      assert.deepEqual(result.line, { action, code, status });
      assert.equal(result.requests, code === 'busy' ? attempts : 1);
      await Promise.all(hungUp);
    });
  }

  test(`${action}: takes a body of 64 KiB and none larger`, async (t) => {
    for (const [bytes, fits] of [[64 * 1024, true], [64 * 1024 + 1, false]]) {
      const body = `{"more":"${'x'.repeat(bytes - '{"more":""}'.length)}"}`;
      const result = await (await setUp(t, (_, response) => response.end(body)))();
      assert.deepEqual(plain(result), fits ? { statusCode: 200, body: JSON.parse(body) } : failed);
    }
  });

  test(`${action}: follows no redirect`, async (t) => {
    const elsewhere = await stub(t, (_, response) => json(response, 200, answer));
    for (const status of [301, 302, 303, 307, 308]) {
      const call = await setUp(t, (_, response) => {
        response.writeHead(status, { location: elsewhere.url });
        response.end(JSON.stringify({ message: 'planted', error: 'planted' }));
      });
      const result = await call();
      assert.deepEqual(plain(result), failed, `${status}`);
      assert.equal(result.requests, 1);
    }
    assert.equal(elsewhere.requests.length, 0);
  });

  test(`${action}: tries a refused connection once more, whatever it is for`, async (t) => {
    const port = await freePort();
    const settings = { url: `http://127.0.0.1:${port}/action`, secret };
    const call = await paste(action, settings);
    const away = await call(event);
    assert.deepEqual(plain(away), failed);
    assert.deepEqual(away.line, { action, code: 'ECONNREFUSED' });

    // The function comes up as soon as it was found down.
    let up;
    const original = globalThis.fetch;
    t.mock.method(globalThis, 'fetch', async (...request) => {
      try {
        return await original(...request);
      } catch (error) {
        up ??= await stub(t, (_, response) => json(response, 200, answer), port);
        throw error;
      }
    });
    assert.deepEqual(plain(await call(event)), { statusCode: 200, body: answer });
    assert.equal(up.requests.length, 1);
  });

  test(`${action}: makes a second attempt only where it is safe`, async (t) => {
    const always = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'];
    const repeatableOnly = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', undefined];
    const call = await paste(action, { url: 'https://planted.example/', secret });
    for (const code of [...always, ...repeatableOnly]) {
      const fetch = t.mock.method(globalThis, 'fetch', async () => {
        throw new TypeError('planted', { cause: Object.assign(new Error('planted'), code && { code }) });
      });
      const result = await call(event);
      assert.deepEqual(plain(result), failed, code);
      assert.equal(fetch.mock.callCount(), always.includes(code) ? 2 : attempts, code);
      assert.equal(result.line.code, code ?? 'network');
      fetch.mock.restore();
    }
  });

  test(`${action}: survives events that are no JSON`, async (t) => {
    const circular = { ...event };
    circular.self = circular;
    const hostile = [
      circular,
      { ...event, big: 1n },
      { ...event, toJSON: () => { throw new Error('planted'); } },
      { ...event, toJSON: () => { throw null; } },
      { get planted() { throw new Error('planted'); } },
      new Proxy({}, { ownKeys: () => { throw new Error('planted'); } }),
      Object.assign(Array(1), { 0: 10n }),
    ];
    const { url, requests } = await stub(t, (_, response) => json(response, 200, answer));
    const call = await paste(action, { url, secret });
    for (const [index, event] of hostile.entries()) {
      const result = await call(event);
      assert.deepEqual(plain(result), failed, `event ${index}`);
      assert.equal(result.line.code, 'unexpected');
    }
    assert.equal(requests.length, 0);

    // No event at all is for the function to refuse.
    for (const event of [undefined, null, () => 'planted', Symbol('planted')]) {
      assert.equal((await call(event)).statusCode, 200);
      const { headers, body } = requests.at(-1);
      assert.equal(body, 'null');
      assert.ok(verify(secret, headers, body));
    }
  });

  test(`${action}: calls nobody with a setting missing or malformed`, async (t) => {
    const fetch = t.mock.method(globalThis, 'fetch', async () => Response.json(answer));
    const good = { url: 'https://planted.example/action', secret };
    const bytes = (count) => `whsec_${Buffer.alloc(count, 1).toString('base64')}`;
    const bad = {
      url: [
        undefined, '', 'planted', '//planted.example', 'http://planted.example', 'ftp://127.0.0.1/', 'file:///planted',
        'http://127.0.0.1.planted.example', 'http://localhost.planted.example', 'http://127.0.0.1@planted.example',
        'http://0.0.0.0', 'http://127.0.0.2', 'https://planted:planted@127.0.0.1/', 'https://planted@127.0.0.1/',
      ],
      secret: [
        undefined, '', 'planted', secret.slice('whsec_'.length), 'whsec_', 'whsec_planted', `${secret}=`, ` ${secret}`,
        `${secret} ${secret}`, `${secret}\n`, bytes(23), bytes(65),
      ],
      timeout: ['999', '20001', '0', '-1', 'NaN', 'Infinity', 'planted', ' '],
    };
    for (const [name, values] of Object.entries(bad)) {
      for (const value of values) {
        const result = await (await paste(action, { ...good, [name]: value }))(event);
        assert.deepEqual(plain(result), failed, `${name} ${value}`);
        assert.deepEqual(result.line, { action, code: `setting_${name}` });
      }
    }
    assert.equal(fetch.mock.callCount(), 0);

    const fine = {
      url: ['http://127.0.0.1:9000/x', 'http://localhost:9000/', 'http://[::1]:9000/', 'https://planted.example'],
      secret: [bytes(24), bytes(64)],
      timeout: [undefined, '', '1000', '20000'],
    };
    for (const [name, values] of Object.entries(fine)) {
      for (const value of values) {
        const result = await (await paste(action, { ...good, [name]: value }))(event);
        assert.deepEqual(plain(result), { statusCode: 200, body: answer }, `${name} ${value}`);
      }
    }
  });

  test(`${action}: answers its failure anew each time`, async () => {
    const call = await paste(action, {});
    const first = await call(event);
    first.body.planted = true;
    assert.deepEqual(plain(await call(event)), failed);
  });
}

test('each setting is the action\'s own', () => {
  const own = Object.keys(ACTIONS).flatMap((action) => [names(action).url, names(action).secret]);
  assert.equal(new Set(own).size, 6);
});
