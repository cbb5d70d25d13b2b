# Prints the processes of a dump, as drgn finds them with the kernel's debugging information: pid, parent, name.
import sys

import drgn
from drgn.helpers.linux.pid import for_each_task

dump, vmlinux = sys.argv[1:]
program = drgn.Program()
program.set_core_dump(dump)
program.load_debug_info([vmlinux])
for task in for_each_task(program):
    print(task.pid.value_(), task.real_parent.tgid.value_(), task.comm.string_().decode())
