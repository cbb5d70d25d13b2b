# Runs inside gdb after -core: answers a question of reading.ts on standard input with one line of JSON.
import json
import sys

import gdb

question = json.load(sys.stdin)
inferior = gdb.selected_inferior()
threads = sorted(inferior.threads(), key=lambda thread: thread.num)


def registers():
    # Not through a frame: s390x has none where the program counter is 0, as in a CPU that never started.
    found = {}
    for name in question["registers"]:
        shown = gdb.execute("info registers " + name, to_string=True).split()
        found[name] = str(int(shown[1], 16))
    return found


def read(address, length):
    try:
        return bytes(inferior.read_memory(int(address), length)).hex()
    except gdb.MemoryError:
        return None


if not threads:
    answer = {"refusal": "no threads: " + (gdb.execute("info files", to_string=True).strip() or "not a core file")}
else:
    cpus = []
    for thread in threads:
        thread.switch()
        cpus.append(registers())
    machine = inferior.architecture().name()
    answer = {"machine": machine, "cpus": cpus, "bytes": [read(*wanted) for wanted in question["reads"]]}
print("\n" + json.dumps(answer))
