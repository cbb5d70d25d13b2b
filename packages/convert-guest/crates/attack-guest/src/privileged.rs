//! Instructions for the kernel only, and those that would tell where its tables are.

use crate::control_flow::instructions;

instructions! {
    /// Stops the processor.
    hlt: "hlt";
    /// Disables interrupts.
    cli: "cli";
    /// Enables interrupts.
    sti: "sti";
    /// Reads EFER.
    read_msr: "mov ecx, 0xc0000080", "rdmsr";
    /// Writes EFER: all zeros would leave long mode.
    write_msr: "mov ecx, 0xc0000080", "xor eax, eax", "xor edx, edx", "wrmsr";
    /// Reads CR0.
    read_cr0: "mov rax, cr0";
    /// Turns paging off.
    write_cr0: "mov eax, 1", "mov cr0, rax";
    /// Reads CR3.
    read_cr3: "mov rax, cr3";
    /// Takes page tables of its own.
    write_cr3: "mov cr3, rdi";
    /// Turns SMEP and SMAP off.
    write_cr4: "mov eax, 0x20", "mov cr4, rax";
    /// Reads a debug register.
    read_dr7: "mov rax, dr7";
    /// Writes a debug register.
    write_dr7: "mov dr7, rdi";
    /// Takes a descriptor table of its own.
    lgdt: "push 0", "push 0", "lgdt [rsp]", "pop rax", "pop rax";
    /// Takes an interrupt table of its own.
    lidt: "push 0", "push 0", "lidt [rsp]", "pop rax", "pop rax";
    /// Loads a local descriptor table.
    lldt: "lldt di";
    /// Loads a task register.
    ltr: "ltr di";
    /// Writes the machine status word.
    lmsw: "lmsw di";
    /// Clears the task-switched flag.
    clts: "clts";
    /// Drops a translation.
    invlpg: "invlpg [rdi]";
    /// Throws the caches away.
    invd: "invd";
    /// Writes the caches back.
    wbinvd: "wbinvd";
    /// Takes the kernel's GS.
    swapgs: "swapgs";
    /// Asks where the GDT is.
    sgdt: "push 0", "push 0", "sgdt [rsp]", "pop rax", "pop rax";
    /// Asks where the IDT is.
    sidt: "push 0", "push 0", "sidt [rsp]", "pop rax", "pop rax";
    /// Asks for the LDT selector.
    sldt: "sldt rax";
    /// Asks for the task selector.
    str: "str rax";
    /// Asks for the machine status word.
    smsw: "smsw rax";
    /// Sets which extended states are in use.
    xsetbv: "xor ecx, ecx", "mov eax, 1", "xor edx, edx", "xsetbv";
    /// Reads a performance counter.
    rdpmc: "xor ecx, ecx", "rdpmc";
    /// Leaves system management mode.
    rsm: "rsm";
    /// Starts a virtual machine of its own (Intel).
    vmlaunch: "vmlaunch";
    /// Starts a virtual machine of its own (AMD).
    vmrun: "xor eax, eax", ".byte 0x0f, 0x01, 0xd8";
    /// Arms a monitor.
    monitor: "lea rax, [rip]", "xor ecx, ecx", "xor edx, edx", "monitor";
    /// Waits for a monitor.
    mwait: "xor eax, eax", "xor ecx, ecx", "mwait";
}
