import { defineConfig } from 'vitepress';

/** Pages in the order in which somebody needs them; docs/api is made by typedoc. */
const GUIDE = [
  { text: 'A safe upload endpoint', link: '/safe-uploads' },
  { text: 'Images from strangers', link: '/images-from-strangers' },
  { text: 'Running it in production', link: '/operators' },
  { text: 'From one machine to many', link: '/many-machines' },
  { text: 'Coming from qemu-img', link: '/from-qemu-img' },
  { text: 'Bundlers', link: '/bundlers' },
];
const REFERENCE = [
  { text: 'Engine API', link: '/api/' },
  { text: 'Errors', link: '/errors' },
  { text: 'Safety checks', link: '/safety-checks' },
  { text: 'Exit codes', link: '/exit-codes' },
  { text: 'Formats', link: '/formats' },
  { text: 'Memory dumps', link: '/vmcore' },
  { text: 'Binary layouts', link: '/layouts' },
];
const INSIDE = [
  { text: 'Architecture', link: '/architecture' },
  { text: 'The ABI', link: '/abi' },
  { text: 'Looking into a guest', link: '/debugging' },
  { text: 'Adding a format, a command', link: '/adding' },
  { text: 'Roadmap', link: '/roadmap' },
];

export default defineConfig({
  title: 'instar',
  description: 'Disk-image tooling for Node.js that is safe on images from strangers',
  lang: 'en',
  cleanUrls: false,
  // The plans are for who works on this, and are read in the repository.
  srcExclude: ['plans/**'],
  markdown: { html: false },
  // Pages that are read in the repository as well link to files of it.
  ignoreDeadLinks: [/\.\.\//, /\/plans\//],
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Guide', link: '/safe-uploads' },
      { text: 'API', link: '/api/' },
      { text: 'Errors', link: '/errors' },
    ],
    sidebar: [
      { text: 'Guide', items: GUIDE },
      { text: 'Reference', items: REFERENCE },
      { text: 'Inside', items: INSIDE },
    ],
  },
});
