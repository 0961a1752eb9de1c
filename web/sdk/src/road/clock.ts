/** Whether a time has come that lay at most `most` milliseconds ahead when it was chosen: also where the clock was set back since. */
export function passed(at: number, most: number): boolean {
  const now = Date.now();
  return now >= at || at > now + most;
}
