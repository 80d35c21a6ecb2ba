import { createServer } from 'node:net';

let taken = 0;

/** A port of 127.0.0.1 for another process, or for nobody; why it stays free is at `free_port` of host.rs. */
export async function freePort() {
  for (;;) {
    const port = 11_000 + ((process.pid * 101 + taken++) % 20_000);
    if (await isFree(port)) return port;
  }
}

const isFree = (port) =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
