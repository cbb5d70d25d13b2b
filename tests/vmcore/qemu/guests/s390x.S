/*
 * The s390x guest (`-kernel`, an ELF whose entry QEMU jumps to in 64-bit mode): the pattern of ../pattern.ts in
 * big-endian words, known registers, then it spins. These machines have no fw_cfg, so there is no VMCOREINFO.
 */
	.set DONE, 0xe00		/* in the low core, where a store needs no base register */

	.text
	.globl	_start
_start:
	llilh	%r1, 0x10		/* PATTERN, 0x100000 */
	lghi	%r2, 0
1:	st	%r2, 0(%r2,%r1)
	ahi	%r2, 4
	clfi	%r2, 0x10000
	jl	1b

	iilf	%r3, 0x12345678
	llilh	%r2, 2
2:	lr	%r4, %r3
	sll	%r4, 13
	xr	%r3, %r4
	lr	%r4, %r3
	srl	%r4, 17
	xr	%r3, %r4
	lr	%r4, %r3
	sll	%r4, 5
	xr	%r3, %r4
	st	%r3, 0(%r2,%r1)
	ahi	%r2, 4
	clfi	%r2, 0x40000
	jl	2b

	iilf	%r3, 0xa5a5a5a5
3:	st	%r3, 0(%r2,%r1)
	ahi	%r2, 4
	clfi	%r2, 0x50000
	jl	3b

	.irp	number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	llihf	%r\number, 0x7eac0000 | \number
	oilf	%r\number, 0x50000000 | \number
	.endr
	mvhi	DONE, 0x600d
	.globl	spin
spin:	j	spin
