export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
  /** One entry for each skipped test. */
  reasons: string[];
}

export interface VitestReport {
  testResults: {
    status: string;
    assertionResults: { status: string; fullName: string; meta?: { skipReason?: string } }[];
  }[];
}

export function emptyTally(): Tally;
export function countVitest(report: VitestReport | undefined, status: number): Tally;
export function countCargo(output: string, status: number, workspace: string): Tally;
export function readSkipLog(path: string): string[];
