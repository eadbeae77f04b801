/* SPDX-License-Identifier: BSD-2-Clause */
/* What the app `workers` does in one way in a guest and in another in a process. */
#ifndef APPS_WORKERS_H
#define APPS_WORKERS_H

#include <stdint.h>

/* Can a picture be written there? 0, or 1 after one line that says why not. Leaves nothing behind. */
int workers_can_save(const char *path);

/* Writes a picture of one byte per pixel as PNG; 0, or 1 after one line that says why not. */
int workers_save(const char *path, const uint8_t *picture, uint32_t width, uint32_t height);

#endif
