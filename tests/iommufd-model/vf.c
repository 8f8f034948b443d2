/*
 * Model of /dev/iommu: virtual functions of a device that vfio drives, too
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whoever has the PF or one of its VFs has to know a token that all of them
 * share.  Rules of Linux 7.3: drivers/vfio/pci/vfio_pci_core.c.
 */

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "objects.h"

static bool has_vfs(const MdlDevice *pf, bool in_use)
{
    unsigned i;

    for (i = 0; i < mdl_host.nr_devices; i++) {
        const MdlDevice *vf = mdl_host.device[i];

        if (vf->pf == pf && (vf->bound || !in_use)) {
            return true;
        }
    }
    return false;
}

/* Nobody knows the first one: vfio_pci_vf_init() */
static uint8_t *token_of(MdlDevice *pf)
{
    if (!pf->has_token) {
        pf->has_token = getrandom(pf->token, sizeof(pf->token), 0) ==
                        sizeof(pf->token);
    }
    return pf->token;
}

/* vfio_pci_core_match_token_uuid() */
int mdl_vf_match(MdlDevice *dev, const uint8_t *token)
{
    MdlDevice *pf = dev->vf ? dev->pf : dev;
    bool in_use;

    if (!pf || (!dev->vf && !has_vfs(dev, false))) {
        return token ? -EINVAL : 0;
    }
    in_use = dev->vf || has_vfs(dev, true);
    if (in_use) {
        return token && !memcmp(token, token_of(pf), sizeof(pf->token)) ?
               0 : -EACCES;
    }
    if (token) {
        mdl_vf_set_token(pf, token);
    }
    return 0;
}

bool mdl_vf_has_token(const MdlDevice *dev)
{
    return !dev->vf && has_vfs(dev, false);
}

void mdl_vf_set_token(MdlDevice *pf, const uint8_t *token)
{
    memcpy(pf->token, token, sizeof(pf->token));
    pf->has_token = true;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' :
           c >= 'a' && c <= 'f' ? c - 'a' + 10 :
           c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_uuid(const char *text, uint8_t *uuid)
{
    unsigned i, n = 0;

    for (i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : nibble(text[i]) < 0) {
            return false;
        }
        if (!dash) {
            uuid[n / 2] = uuid[n / 2] << 4 | nibble(text[i]);
            n++;
        }
    }
    return true;
}

/* vfio_pci_core_match(): what stands behind the name of a group's device */
int mdl_vf_options(const char *text, uint8_t *token, bool *given)
{
    static const char key[] = "vf_token=";

    *given = false;
    while (*text) {
        if (*text == ' ') {
            text++;
            continue;
        }
        if (*given || strncmp(text, key, sizeof(key) - 1)) {
            return -EINVAL;
        }
        text += sizeof(key) - 1;
        if (strlen(text) < 36 || !parse_uuid(text, token)) {
            return -EINVAL;
        }
        *given = true;
        text += 36;
    }
    return 0;
}
