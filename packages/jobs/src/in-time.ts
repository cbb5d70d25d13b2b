/** How long jobs have that are to go back to the queue (ms). */
export const GIVE_BACK_MS = 4000;

/** Waits for something, but not longer than that (ms), and hears of no failure. */
export async function inTime(action: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([action.catch(() => undefined), late]);
  clearTimeout(timer);
}
