export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
  /** One entry for each skipped test. */
  reasons: string[];
  /** One entry for each failed test. */
  failures: string[];
}

export interface VitestReport {
  testResults: {
    name?: string;
    status: string;
    message?: string;
    assertionResults: {
      status: string;
      fullName: string;
      meta?: { skipReason?: string };
      failureMessages?: string[];
    }[];
  }[];
}

export function emptyTally(): Tally;
export function fail(tally: Tally, what: string): void;
export function countVitest(report: VitestReport | undefined, status: number): Tally;
export function countCargo(output: string, status: number, workspace: string): Tally;
export function readSkipLog(path: string): string[];
