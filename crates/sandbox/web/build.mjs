// Bundles Corbado's unmodified components with the wrapper in src/ into one script, connect.js.
//
//   node build.mjs   (in a folder where `npm ci` has run)
import { build } from 'esbuild';
import { readFile } from 'node:fs/promises';

// The components' styles load two web fonts: this is to work without a network, and to tell nobody that it runs.
const withoutWebFonts = {
  name: 'without-web-fonts',
  setup({ onLoad }) {
    onLoad({ filter: /@corbado\/connect-react\/dist\/index\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const stripped = text.replaceAll(/@import url\([^)]*fonts\.googleapis\.com[^)]*\);?/g, '');
      if (stripped === text) throw new Error('no web font found: has the component changed?');
      return { contents: stripped, loader: 'js' };
    });
  },
};

await build({
  entryPoints: ['src/connect.js'],
  outfile: 'connect.js',
  bundle: true,
  format: 'iife',
  minify: true,
  target: 'es2022',
  legalComments: 'eof',
  define: { 'process.env.NODE_ENV': '"production"' },
  // The fingerprinting library tells its makers that it runs, once in a thousand page loads, unless told not to.
  banner: { js: 'window.__fpjs_d_m=true;' },
  plugins: [withoutWebFonts],
  logLevel: 'warning',
});
