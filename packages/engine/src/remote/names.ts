// Names of things on other machines, as they are told apart and shown. Nothing here needs anything else of this package.

const REMOTE = /^(https?|s3):\/\//i;

/** Whether a name that the user gave is one of another machine. A file of such a name is `./https://…`. */
export function isRemoteName(name: string): boolean {
  return REMOTE.test(name);
}

/** A URL as it may be shown: a query often signs a request, a fragment is no part of one. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}${url.search === '' ? '' : '?…'}`;
}

/** A name as it may be shown: of one on another machine, nothing that could be secret. */
export function shownName(name: string): string {
  if (!isRemoteName(name)) return name;
  // Not by the parser: what is no URL may hold a password all the same.
  return name.replace(/^([a-z0-9]+:\/\/)[^/?#]*@/i, '$1…@').replace(/[?#].*$/s, '?…');
}
