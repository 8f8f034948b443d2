/*
 * Registers of a Tegra241 CMDQV
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_CMDQV_REGS_H
#define TESTS_QTEST_NESTED_CMDQV_REGS_H

#define CONFIG          0x0
#define PARAM           0x4
#define STATUS          0x8
#define VINTF_ERR_MAP   0x14
#define VINTF_INT_MASK  0x1c
#define CMDQ_ERR_MAP    0x24
#define CMDQ_ALLOC(q)   (0x200 + 4 * (q))
#define VINTF(i)        (0x1000 + 0x100 * (i))
#define VINTF_CONFIG    0x0
#define VINTF_STATUS    0x4
#define SID_MATCH(n)    (0x40 + 4 * (n))
#define SID_REPLACE(n)  (0x80 + 4 * (n))
#define LVCMDQ_ERR_MAP  0xc0
#define VCMDQ(q)        (0x10000 + 0x80 * (q))
#define LVCMDQ(i, q)    (0x30000 + 0x20000 * (i) + 0x80 * (q))
#define CONS            0x0
#define PROD            0x4
#define QCONFIG         0x8
#define QSTATUS         0xc
#define GERROR          0x10
#define GERRORN         0x14
#define PAGE1           0x10000
#define BASE            (PAGE1 + 0x0)
#define CONS_INDX_BASE  (PAGE1 + 0x8)

#define ALLOC(vintf, lvcmdq)    (1u | (lvcmdq) << 1 | (vintf) << 15)
#define VCONFIG(vmid, hyp_own)  (1u | (vmid) << 1 | (hyp_own) << 17)

#define CERROR_ILL  1
#define CERROR_ABT  2

#endif
