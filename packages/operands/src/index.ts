export { DD_DEFAULT_BLOCK_SIZE } from './window.js';
