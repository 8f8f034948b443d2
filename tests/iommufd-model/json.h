/*
 * Model of /dev/iommu: the little JSON the control socket speaks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A request is one flat object: strings, integers (decimal or a "0x" string),
 * true/false, and arrays of integers.
 */

#ifndef IOMMUFD_MODEL_JSON_H
#define IOMMUFD_MODEL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model.h"

/* NULL with @err set to a static text when @text is not such an object */
MdlJson *json_parse(const char *text, const char **err);
void json_free(MdlJson *json);

bool json_has(const MdlJson *json, const char *key);
const char *json_str(const MdlJson *json, const char *key, const char *dflt);
uint64_t json_u64(const MdlJson *json, const char *key, uint64_t dflt);
bool json_bool(const MdlJson *json, const char *key, bool dflt);
/* Number of elements stored, at most @max; 0 when there is no such array */
size_t json_u64_array(const MdlJson *json, const char *key, uint64_t *out,
                      size_t max);

/*
 * Decimal or 0x... digits at @text; @end is set behind them.
 * Returns: false when there is none, or the number takes more than 64 bits
 */
bool mdl_parse_u64(const char *text, const char **end, uint64_t *num);

#endif
