/* SPDX-License-Identifier: Apache-2.0 */
/*
 * long swift_guard_switch(guard, function, a, b, c, d)
 *
 * Calls function(a, b, c, d) and returns what it returned, having left the place on the stack in the guard's first
 * word. With function 0 it goes back to that place instead and returns a second time from there. Both ways begin with
 * the same pushes, so that the unwinder finds the same frame at the place where they meet.
 *
 * The stack is aligned to 16 bytes here: the kernel's C aligns it to 8, Swift believes in 16.
 */
#include <linux/linkage.h>
#include <asm/nospec-branch.h>

	.text
SYM_FUNC_START(swift_guard_switch)
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	testq	%rsi, %rsi
	jz	.Lback
	movq	%rbp, (%rdi)
	movq	%rsi, %rax
	movq	%rdx, %rdi
	movq	%rcx, %rsi
	movq	%r8, %rdx
	movq	%r9, %rcx
	andq	$-16, %rsp
	CALL_NOSPEC rax
.Lout:
	leaq	-40(%rbp), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	RET
.Lback:
	movq	(%rdi), %rbp
	movl	$1, %eax
	jmp	.Lout
SYM_FUNC_END(swift_guard_switch)

	.section .note.GNU-stack, "", @progbits
