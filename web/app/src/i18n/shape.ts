/** A problem in words: what happened, why if it is known, what to do next. */
export interface ProblemWords {
  what: string;
  why?: string;
  next: string;
}

/** A reason in words: for a line (`short`), and as sentences. */
export interface ReasonWords {
  short: string;
  what: string;
  next: string;
}
