// Command lines as people type them who know qemu-img, coreutils or nothing: one line that says what is wrong and what was
// probably meant, and nothing is done.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instar, type Finished } from '../support/command.js';
import { Workdir } from '../support/workdir.js';

const LINES: readonly (readonly [words: string, says: RegExp])[] = [
  ['inof disk.raw', /unknown command 'inof' \(did you mean info\?\); see instar --help$/],
  ['Info disk.raw', /did you mean info\?/],
  ['ifno disk.raw', /did you mean info\?/],
  ['covnert disk.raw out', /did you mean convert\?/],
  ['conv disk.raw out', /did you mean convert\?/],
  ['chekc disk.raw', /did you mean check\?/],
  ['crate -f qcow2 out 1M', /did you mean create\?/],
  ['compair disk.raw disk.raw', /did you mean compare\?/],
  ['mesure disk.raw', /did you mean measure\?/],
  ['docter', /did you mean doctor\?/],
  ['vmcor info x', /did you mean vmcore\?/],
  ['help inof', /did you mean info\?/],
  ['xyzzy', /unknown command 'xyzzy'; see instar --help$/],
  ['--verison', /unknown option '--verison' \(did you mean --version\?\)/],
  ['--hepl', /did you mean --help\?/],
  ['bench disk.raw --flush-interval 100', /--flush-interval is of use with -w only/],
  ['bench disk.raw -c many', /expected a number/],
  ['cp disk.raw out', /instar dd if=INPUT of=OUTPUT/],
  ['inspect disk.raw', /instar info --require-safe FILE/],
  ['mount disk.raw /mnt', /instar convert -O raw/],
  ['sha256sum disk.raw', /instar convert --checksum sha256/],
  ['repair disk.raw', /instar check -r all FILE/],
  ['diff disk.raw disk.raw', /instar compare A B/],
  ['version', /instar --version/],
  ['enqueue convert a b', /write instar submit/],
  ['wroker', /did you mean worker\?/],
  ['submti', /did you mean submit\?/],
  ['worker --dir /x', /write --directory DIR/],
  ['worker --concurrncy 2', /did you mean --concurrency\?/],
  ['submit --windws 2 convert a b', /did you mean --windows\?/],
  ['submit convert a b', /which queue: give --queue/],
  ['info --allow-hosts x disk.raw', /write --allow-host HOST/],
  ['info --allow-hsot x disk.raw', /did you mean --allow-host\?/],
  ['info --jsno disk.raw', /^instar: info: unknown option '--jsno' \(did you mean --json\?\); see instar info --help$/],
  ['info -json disk.raw', /did you mean --json\?/],
  ['info --JSON disk.raw', /did you mean --json\?/],
  ['info --require_safe disk.raw', /did you mean --require-safe\?/],
  ['info --requiresafe disk.raw', /did you mean --require-safe\?/],
  ['info --safe disk.raw', /write --require-safe/],
  ['info --chain disk.raw', /write --backing-chain/],
  ['info --backing-chian disk.raw', /did you mean --backing-chain\?/],
  ['info --fromat raw disk.raw', /did you mean --format\?/],
  ['info --sandbx kvm disk.raw', /did you mean --sandbox\?/],
  ['info --no-sandbox disk.raw', /there is no way around the sandbox/],
  ['info --timeout 3 disk.raw', /--limit-time TIME/],
  ['info --version', /instar --version/],
  ['info --nothing-like-it disk.raw', /unknown option '--nothing-like-it'; see instar info --help$/],
  ['info --sandbox=vm disk.raw', /expected kvm or process or auto/],
  ['check -r some disk.raw', /expected leaks or all/],
  ['check --fix disk.raw', /write -r all/],
  ['check --quite disk.raw', /did you mean --quiet\?/],
  ['convert --slavage disk.raw out', /did you mean --salvage\?/],
  ['convert --skip-broken-bitmaps disk.raw out', /requires --bitmaps/],
  ['convert --progres disk.raw out', /did you mean --progress\?/],
  ['convert --output-fromat qcow2 disk.raw out', /did you mean --output-format\?/],
  ['create --size 1M out', /write the size as the last operand/],
  ['create -f qcow2 -e out 1M', /encrypt\.format=luks/],
  ['map --start 3 disk.raw', /--start-offset OFFSET/],
  ['compare --stritc disk.raw disk.raw', /did you mean --strict\?/],
  ['measure --siez 1M', /did you mean --size\?/],
  ['dd if=disk.raw fo=out', /unknown operand 'fo=': expected one of if, of, [^\n]+ \(did you mean of=\?\)$/],
  ['dd if=disk.raw of=out cuont=1', /did you mean count=\?/],
  ['dd if=disk.raw of=out sikp=1', /did you mean skip=\?/],
  ['dd if=disk.raw of=out ibs=4k', /one bs= holds for both sides/],
  ['dd if=disk.raw of=out iseek=1', /write skip=N/],
  ['dd if=disk.raw of=out oseek=1', /write seek=N/],
  ['dd input=disk.raw output=out', /write if=FILE/],
  ['dd if disk.raw of out', /'if' is neither an operand nor an option: [^\n]+ \(write if=VALUE\)$/],
  ['dd --if=disk.raw --of=out', /write if=FILE/],
  ['dd if=disk.raw of=out --count=3', /write count=N/],
  ['dd if=disk.raw of=out --jsno', /did you mean --json\?/],
  ['dd -i disk.raw -o out', /write if=FILE/],
  ['dd if=disk.raw of=out conv=noerror', /a copy that goes on after an error is not a copy/],
  ['dd if=disk.raw of=out oflag=direct', /page cache/],
  ['vmcore inof dump', /unknown command 'inof' \(did you mean info\?\); see instar vmcore --help$/],
  ['vmcore info --jsn dump', /did you mean --json\?/],
  ['abi shwo', /did you mean show\?/],
  ['doctor --jsno', /did you mean --json\?/],
  ['completion bahs', /did you mean bash\?/],
];

const AT_ONCE = 4;

describe('a wrong command line is refused in one line that helps', () => {
  const directory = new Workdir();
  const finished = new Map<string, Finished>();

  beforeAll(async () => {
    directory.write('disk.raw', Buffer.alloc(4096));
    const left = LINES.map(([words]) => words);
    const work = async (): Promise<void> => {
      for (let words = left.pop(); words !== undefined; words = left.pop()) {
        // Certificates, which node may be told to load at each start, cost more than all else.
        const command = instar(...words.split(' ')).environment({ NODE_EXTRA_CA_CERTS: '' });
        finished.set(words, await command.in(directory).start());
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  });

  afterAll(() => {
    directory.remove();
  });

  it.each(LINES)('instar %s', (words, says) => {
    const ended = finished.get(words);
    expect(ended?.stderr).toMatch(/^instar: [^\n]+\n$/);
    expect(ended?.stderr.trimEnd()).toMatch(says);
    expect(ended).toMatchObject({ status: 1, stdout: '' });
  });

  it('and nothing was written', () => {
    expect(directory.names()).toEqual(['disk.raw']);
  });
});

describe('what is asked of a command', () => {
  it('help COMMAND is the same as COMMAND --help', () => {
    for (const words of [['dd'], ['info'], ['vmcore', 'info']]) {
      const [asked, told] = [instar('help', ...words).must(), instar(...words, '--help').must()];
      expect(asked.stdout).toBe(told.stdout);
      expect(asked.stdout).toContain(words.join(' '));
    }
  });

  it('-V and --version print one line', () => {
    expect(instar('-V').must().stdout).toMatch(/^instar \d+\.\d+\.\d+\n$/);
    expect(instar('--version').must().stdout).toBe(instar('-V').must().stdout);
  });

  it('the value of an unknown option, which may be a secret, is not repeated', () => {
    const { stderr, status } = instar('info', '--passphrase=hunter2', 'disk.raw').run();
    expect(stderr).toContain('--passphrase-file FILE');
    expect(stderr).not.toContain('hunter2');
    expect(status).toBe(1);
  });
});
