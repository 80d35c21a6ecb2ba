// A Lambda runtime of the fewest lines: loads the handler of the file that it is given, then serves invocations over one
// connection. AWS's own Node runtime does more, so a managed function starts later than this.
import { Agent, request } from 'node:http';
import { resolve } from 'node:path';

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

const call = (method, path, body) =>
  new Promise((done, failed) => {
    const headers = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const call = request({ agent, host, port, method, path: `/2018-06-01/runtime/invocation/${path}`, headers }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => done({ headers: answer.headers, text: Buffer.concat(chunks).toString() }));
    });
    call.on('error', failed);
    call.end(body);
  });

const { handler } = await import(resolve(process.argv[2]));
for (;;) {
  const next = await call('GET', 'next');
  const id = next.headers['lambda-runtime-aws-request-id'];
  try {
    const answer = await handler(JSON.parse(next.text), { awsRequestId: id });
    await call('POST', `${id}/response`, JSON.stringify(answer));
  } catch (error) {
    await call('POST', `${id}/error`, JSON.stringify({ errorType: error.name, errorMessage: error.message }));
  }
}
