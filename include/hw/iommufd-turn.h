/*
 * Nested IOMMU core: turns
 *
 * One write of a doorbell may be for hundreds of thousands of commands, and one
 * command for all entries of all tables. A front end takes turns with the rest
 * of the main loop: IOMMUFD_NESTED_TURN units of work at a time. Units are
 * steps of the front end (a command, a table), table entries that it reads,
 * and what the core makes of them: entries queued, entries sent, and
 * IOMMUFD_NESTED_CALL for each call on the host, done or refused. What cannot
 * be divided may go beyond, once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_TURN_H
#define HW_IOMMUFD_TURN_H

#include "hw/iommufd.h"

/* Units of work in a turn, and units that a call on the host counts */
#define IOMMUFD_NESTED_TURN 4096
#define IOMMUFD_NESTED_CALL 16

/**
 * iommufd_nested_turn() - may the front end do one more step?
 *
 * Counts the step; the first one begins a turn. When the turn is over, the rest
 * is put off: IOMMUFDNestedOps.go_on is called from a bottom half (if the VM
 * stops, when it runs again), and the answer is no until then. A new turn has
 * room for some steps: who asks before each of them gets on.
 *
 * Return: false: come back in go_on.
 */
bool iommufd_nested_turn(IOMMUFDNested *n);

/**
 * iommufd_nested_turn_end() - the queue is empty or has stopped
 *
 * What is put off stays so.
 */
void iommufd_nested_turn_end(IOMMUFDNested *n);

/* Is there a turn that has neither ended nor been put off? */
bool iommufd_nested_in_turn(const IOMMUFDNested *n);

/* Call IOMMUFDNestedOps.go_on once the VM runs */
void iommufd_nested_put_off(IOMMUFDNested *n);

/* Nothing is put off any more; iommufd_nested_reset() does it as well */
void iommufd_nested_put_off_not(IOMMUFDNested *n);

/* Does something wait for IOMMUFDNestedOps.go_on? */
bool iommufd_nested_is_put_off(const IOMMUFDNested *n);

/* Count a table entry of a RID or PASID that the front end reads */
void iommufd_nested_count_read(IOMMUFDNested *n);

/**
 * iommufd_nested_inv_flush_on() - the same as iommufd_nested_inv_flush(), one
 *                                 turn at a time
 *
 * Between two targets it is asked whether the turn goes on. If it does not,
 * iommufd_nested_inv_pending() says so, and the call is to be made again; a
 * failure is of what was sent now.
 */
bool iommufd_nested_inv_flush_on(IOMMUFDNested *n, IOMMUFDNestedInvError *fail,
                                 Error **errp);

#endif
