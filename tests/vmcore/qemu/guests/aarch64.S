/*
 * The aarch64 guest (`-M virt -kernel`, entered at EL1 with the MMU off): the pattern of ../pattern.ts, a VMCOREINFO note
 * offered through fw_cfg, known registers, then it spins. Where fw_cfg lies: QEMU hw/arm/virt.c; how it is used: QEMU
 * docs/specs/fw_cfg.txt and docs/specs/vmcoreinfo.txt.
 */
	.set PATTERN, 0x40200000
	.set DONE, 0x40190000
	.set FW_CFG, 0x09020000		/* data +0, selector +8, DMA address +16 */

	.macro	wide register, value
	movz	\register, #((\value) & 0xffff)
	movk	\register, #(((\value) >> 16) & 0xffff), lsl #16
	movk	\register, #(((\value) >> 32) & 0xffff), lsl #32
	movk	\register, #(((\value) >> 48) & 0xffff), lsl #48
	.endm

	.text
	.globl	_start
_start:
	wide	x1, PATTERN
	mov	w2, #0
1:	str	w2, [x1, x2]
	add	w2, w2, #4
	cmp	w2, #0x10, lsl #12
	b.lo	1b

	mov	w2, #0x20000
	mov	w4, #0x40000
	movz	w3, #0x5678
	movk	w3, #0x1234, lsl #16
2:	eor	w3, w3, w3, lsl #13
	eor	w3, w3, w3, lsr #17
	eor	w3, w3, w3, lsl #5
	str	w3, [x1, x2]
	add	w2, w2, #4
	cmp	w2, w4
	b.lo	2b

	movz	w3, #0xa5a5
	movk	w3, #0xa5a5, lsl #16
	mov	w4, #0x50000
3:	str	w3, [x1, x2]
	add	w2, w2, #4
	cmp	w2, w4
	b.lo	3b

	bl	offer_note

	wide	x1, 0x7eac000050000000 | (31 << 32) | 31
	mov	sp, x1
	.irp	number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
	wide	x\number, 0x7eac000050000000 | (\number << 32) | \number
	.endr
	wide	x29, DONE
	wide	x30, 0x600d600d
	str	w30, [x29]
	.globl	spin
spin:	b	spin

/* Finds etc/vmcoreinfo in the directory (item 0x19) and writes its 16 bytes in one DMA. */
offer_note:
	wide	x1, FW_CFG
	mov	w2, #0x1900		/* the selector is big-endian */
	strh	w2, [x1, #8]
	adr	x3, entry
	mov	w4, #4
	mov	x12, x30
	bl	read
	ldr	w5, [x3]
	rev	w5, w5			/* how many entries follow */
4:	mov	w4, #64
	bl	read
	adr	x6, name
	add	x7, x3, #8
5:	ldrb	w8, [x6], #1
	ldrb	w9, [x7], #1
	cmp	w8, w9
	b.ne	6f
	cbnz	w8, 5b
	b	7f
6:	subs	w5, w5, #1
	b.ne	4b
	ret	x12			/* started without -device vmcoreinfo */

7:	ldrh	w5, [x3, #4]		/* key, big-endian as all here */
	rev16	w5, w5
	lsl	w5, w5, #16
	orr	w5, w5, #0x18		/* select, write */
	rev	w5, w5
	adr	x6, access
	str	w5, [x6]
	mov	w5, #0x10000000		/* 16 bytes */
	str	w5, [x6, #4]
	adr	x7, info
	rev	x7, x7
	str	x7, [x6, #8]
	rev	x6, x6
	dsb	sy
	str	x6, [x1, #16]
	ret	x12

/* w4 bytes of the item to x3. */
read:	mov	x10, x3
8:	ldrb	w11, [x1]
	strb	w11, [x10], #1
	subs	w4, w4, #1
	b.ne	8b
	ret

	.balign	8
info:	.hword	0, 1			/* host_format, guest_format: ELF */
	.word	note_end - note
	.quad	note
access:	.fill	16
entry:	.fill	64
name:	.asciz	"etc/vmcoreinfo"

	.balign 4
note:	.word	11, note_text_end - note_text, 0
	.asciz	"VMCOREINFO"
	.balign 4
note_text:
	.incbin	"vmcoreinfo.txt"
note_text_end:
	.balign 4
note_end:
