/*
 * A whole PC in one ROM of 64 KiB (`-bios`): fills memory with the pattern that ../pattern.ts describes, offers a
 * VMCOREINFO note through fw_cfg, sets its registers and spins. With LONG_MODE it ends in 64-bit mode with paging, else
 * in 32-bit protected mode without; QEMU chooses the class of its dumps by that, and by whether memory ends below 4 GiB:
 * a ROM at the top is memory. With LOADED the same code is put into RAM of a machine that has nothing else.
 *
 * fw_cfg: QEMU docs/specs/fw_cfg.txt and docs/specs/vmcoreinfo.txt.
 */
	.set PATTERN, 0x100000
	.set NOTE, 0x150000
	.set DONE, 0x6000
	.set STACK, 0x6f00
	.set ENTRY, 0x7000		/* one entry of the fw_cfg directory, 64 bytes */
	.set INFO, 0x7100		/* FWCfgVMCoreInfo */
	.set ACCESS, 0x7180		/* FWCfgDmaAccess */
	.set PML4, 0x70000
	.set PDPT_LOW, 0x71000
	.set PDPT_HIGH, 0x72000
	.set PAGE_DIRECTORIES, 0x73000	/* four pages, 2 MiB an entry: 4 GiB, the ROM included */

	.text
	.code16
	.globl	_start
_start:
rom:
start16:
	cli
#ifdef LOADED
	lgdtl	gdt_pointer
#else
	lgdtl	%cs:(gdt_pointer - rom)
#endif
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$8, $start32

	.code32
start32:
	movl	$16, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$STACK, %esp
	cld

	/* 64 KiB of a ramp; the 64 KiB of zeros behind it are as QEMU made them. */
	xorl	%ecx, %ecx
1:	movl	%ecx, PATTERN(%ecx)
	addl	$4, %ecx
	cmpl	$0x10000, %ecx
	jb	1b

	/* 128 KiB of xorshift32: no compressor makes these smaller. */
	movl	$0x20000, %ecx
	movl	$0x12345678, %eax
2:	movl	%eax, %edx
	shll	$13, %edx
	xorl	%edx, %eax
	movl	%eax, %edx
	shrl	$17, %edx
	xorl	%edx, %eax
	movl	%eax, %edx
	shll	$5, %edx
	xorl	%edx, %eax
	movl	%eax, PATTERN(%ecx)
	addl	$4, %ecx
	cmpl	$0x40000, %ecx
	jb	2b

	/* 64 KiB of one byte. */
	movl	$PATTERN + 0x40000, %edi
	movl	$0x4000, %ecx
	movl	$0xa5a5a5a5, %eax
	rep stosl

	movl	$note, %esi
	movl	$NOTE, %edi
	movl	$note_end - note, %ecx
	rep movsb
#ifndef LOADED
	call	offer_note
#endif

#ifdef LONG_MODE
	/* The low 4 GiB at 0 and, as Linux has it, the first GiB at 0xffffffff80000000. */
	movl	$PDPT_LOW + 3, PML4
	movl	$PDPT_HIGH + 3, PML4 + 511 * 8
	movl	$PAGE_DIRECTORIES + 3, PDPT_LOW
	movl	$PAGE_DIRECTORIES + 0x1003, PDPT_LOW + 8
	movl	$PAGE_DIRECTORIES + 0x2003, PDPT_LOW + 16
	movl	$PAGE_DIRECTORIES + 0x3003, PDPT_LOW + 24
	movl	$PAGE_DIRECTORIES + 3, PDPT_HIGH + 510 * 8
	xorl	%ecx, %ecx
	movl	$0x83, %eax		/* present, writable, 2 MiB */
3:	movl	%eax, PAGE_DIRECTORIES(,%ecx,8)
	addl	$0x200000, %eax
	incl	%ecx
	cmpl	$2048, %ecx
	jb	3b

	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$PML4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER */
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	ljmpl	$24, $start64

	.code64
start64:
	.set number, 0
	.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15
	movabsq	$(0x7eac000050000000 | (number << 32) | number), %\register
	.set number, number + 1
	.endr
#else
	.set number, 0
	.irp register, eax, ebx, ecx, edx, esi, edi, ebp, esp
	movl	$(0x50ad0000 | (number << 8) | number), %\register
	.set number, number + 1
	.endr
#endif
	movl	$0x600d600d, DONE
	.globl	spin
spin:	jmp	spin

	.code32
/* Finds etc/vmcoreinfo in the directory (item 0x19) and writes its 16 bytes in one DMA. */
offer_note:
	movl	$0x19, %eax
	movl	$0x510, %edx
	outw	%ax, %dx
	incl	%edx
	movl	$ENTRY, %edi
	movl	$4, %ecx
	rep insb
	movl	ENTRY, %ebx
	bswapl	%ebx			/* how many entries follow */
4:	movl	$ENTRY, %edi
	movl	$64, %ecx
	rep insb
	movl	$ENTRY + 8, %edi
	movl	$name, %esi
	movl	$name_end - name, %ecx
	repe cmpsb
	je	5f
	decl	%ebx
	jnz	4b
	ret				/* started without -device vmcoreinfo */

5:	movl	$0x00010000, INFO	/* host_format 0, guest_format 1: ELF */
	movl	$note_end - note, INFO + 4
	movl	$NOTE, INFO + 8
	movl	$0, INFO + 12
	movzwl	ENTRY + 4, %eax		/* key, big-endian as all here */
	xchgb	%al, %ah
	shll	$16, %eax
	orl	$0x18, %eax		/* select, write */
	bswapl	%eax
	movl	%eax, ACCESS
	movl	$0x10000000, ACCESS + 4	/* 16 bytes */
	movl	$0, ACCESS + 8
	movl	$INFO, %eax
	bswapl	%eax
	movl	%eax, ACCESS + 12
	movl	$ACCESS, %eax
	bswapl	%eax
	movl	$0x518, %edx		/* low half of the address: starts it */
	outl	%eax, %dx
	ret

name:	.asciz	"etc/vmcoreinfo"
name_end:

	.balign 4
note:	.long	11, note_text_end - note_text, 0
	.asciz	"VMCOREINFO"
	.balign 4
note_text:
	.incbin	"vmcoreinfo.txt"
note_text_end:
	.balign 4
note_end:

	.balign 8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* 8: 32-bit code */
	.quad	0x00cf93000000ffff	/* 16: data */
	.quad	0x00af9b000000ffff	/* 24: 64-bit code */
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt

#ifndef LOADED
	.org	0xfff0
	.code16
	jmp	start16
	.org	0x10000
#endif
