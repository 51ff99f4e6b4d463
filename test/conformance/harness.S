/* Runs a table of cases on a bare z/Architecture CPU. Every case is started by LPSWE and ended by a program
   interruption. Offsets: see layout.ts. Low storage 0x300-0x3ff is the harness's own. */
        .machine z14
        .equ    IN, 0x300
        .equ    OUT, 0x308
        .equ    LEFT, 0x310
        .equ    PSW, 0x320
        .equ    SAVE, 0x380
        .equ    SLOT, 0x30800
        .equ    AREA_A, 0x20f00
        .equ    AREA_B, 0x23f00
        .equ    RESULTS, 0x4000000
        .equ    RECORD, 1536

        .section .text
        .globl  _start
_start: larl    %r1, cr0
        lctlg   %c0, %c0, 0(%r1)
        larl    %r1, newpsw
        mvc     0x1d0(16,%r0), 0(%r1)
        larl    %r1, table
        lg      %r2, 0(%r1)
        stg     %r2, LEFT(%r0)
        aghi    %r1, 256
        stg     %r1, IN(%r0)
        llilf   %r2, RESULTS
        stg     %r2, OUT(%r0)

next:   lg      %r1, LEFT(%r0)
        aghi    %r1, -1
        jl      done
        stg     %r1, LEFT(%r0)
        lg      %r1, IN(%r0)
        llilf   %r2, SLOT
        mvc     0(128,%r2), 272(%r1)
        llilf   %r2, AREA_A
        mvc     0(256,%r2), 512(%r1)
        mvc     256(256,%r2), 768(%r1)
        llilf   %r2, AREA_B
        mvc     0(256,%r2), 1024(%r1)
        mvc     256(256,%r2), 1280(%r1)
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        ld      %f\n, 144+8*\n(%r1)
        .endr
        larl    %r2, zero
        lfpc    0(%r2)
        lam     %a0, %a15, 0(%r2)
        mvc     PSW(16,%r0), 0(%r1)
        lmg     %r0, %r15, 16(%r1)
        lpswe   PSW(%r0)

caught: stmg    %r0, %r15, SAVE(%r0)
        lg      %r2, OUT(%r0)
        mvc     0(16,%r2), 0x150(%r0)
        mvc     16(8,%r2), 0x8c(%r0)
        stfpc   24(%r2)
        mvc     32(128,%r2), SAVE(%r0)
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        std     %f\n, 160+8*\n(%r2)
        .endr
        llilf   %r1, AREA_A
        mvc     512(256,%r2), 0(%r1)
        mvc     768(256,%r2), 256(%r1)
        llilf   %r1, AREA_B
        mvc     1024(256,%r2), 0(%r1)
        mvc     1280(256,%r2), 256(%r1)
        aghi    %r2, RECORD
        stg     %r2, OUT(%r0)
        lg      %r1, IN(%r0)
        aghi    %r1, RECORD
        stg     %r1, IN(%r0)
        mvi     0x93(%r0), 0
        j       next
done:   larl    %r1, finish
        lpswe   0(%r1)

        .balign 16
newpsw: .quad   0x0000000180000000, caught
finish: .quad   0x0002000180000000, 0
cr0:    .quad   0x400e0
zero:   .fill   64

        .section .table, "a"
table:  .incbin "table.bin"
