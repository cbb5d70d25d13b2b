# Answers a question of reading.ts on standard input with one line of JSON: what drgn reads from a dump.
import json
import sys

import drgn

question = json.load(sys.stdin)
program = drgn.Program()


def registers():
    found = []
    try:
        threads = sorted(program.threads(), key=lambda thread: thread.tid)
    except LookupError:  # no init_task without debugging information
        return None
    for thread in threads:
        known = thread.stack_trace()[0].registers()
        names = {"pc": "pswa", "x30": "lr"}
        cpu = {}
        for name in question["registers"]:
            value = known.get(name, known.get(names.get(name, name)))
            if value is not None:
                cpu[name] = str(value)
        found.append(cpu)
    return found


def read(address, length):
    try:
        return program.read(int(address), length, physical=linux).hex()
    except (drgn.FaultError, ValueError):
        return None


try:
    program.set_core_dump(question["file"])
except Exception as error:
    answer = {"refusal": str(error)}
else:
    linux = bool(program.flags & drgn.ProgramFlags.IS_LINUX_KERNEL)
    platform = program.platform
    release = None
    if linux:
        release = program["UTS_RELEASE"].string_().decode("latin-1")
    answer = {
        "machine": None if platform is None else platform.arch.name,
        "cpus": registers(),
        "bytes": [read(*wanted) for wanted in question["reads"]],
        "osRelease": release,
    }
print(json.dumps(answer))
