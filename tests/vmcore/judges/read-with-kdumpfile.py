# Answers a question of reading.ts on standard input with one line of JSON: what libkdumpfile reads from a dump.
import json
import sys

import kdumpfile

# Where libkdumpfile's names are not gdb's.
NAMES = {"x30": "lr"}

question = json.load(sys.stdin)


def attribute(context, name):
    try:
        value = context.attr[name]
    except (KeyError, kdumpfile.exceptions.NoDataException):
        return None
    return value


def registers(context, cpu):
    found = {}
    for name in question["registers"]:
        for candidate in (name, NAMES.get(name, name), {"pc": "pswa"}.get(name, name)):
            value = attribute(context, "cpu.%d.reg.%s" % (cpu, candidate))
            if value is not None:
                found[name] = str(value)
                break
    return found


def read(context, address, length):
    try:
        return bytes(context.read(kdumpfile.KDUMP_MACHPHYSADDR, int(address), length)).hex()
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("kdumpfile", "_kdumpfile"):
            raise
        return None


try:
    context = kdumpfile.kdumpfile(question["file"])
except Exception as error:
    answer = {"refusal": str(error)}
else:
    count = attribute(context, "cpu.number") or 0
    cpus = [registers(context, cpu) for cpu in range(count)]
    raw = attribute(context, "linux.vmcoreinfo.raw")
    answer = {
        "format": attribute(context, "file.description"),
        "machine": attribute(context, "arch.name"),
        "cpus": cpus if any(cpus) else None,
        "bytes": [read(context, *wanted) for wanted in question["reads"]],
        "vmcoreinfo": None if raw is None else bytes(memoryview(raw)).decode("latin-1"),
    }
print(json.dumps(answer))
