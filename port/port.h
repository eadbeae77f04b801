/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two halves of the guest's port share: attach.c binds regions, wait.c waits. */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include "msg/port.h"

/* The one context of this CPU, made at the first call; NULL when there is no memory. */
struct msg_context *port_context(void);

/* A doorbell or anything else that a sleep must end for. Safe in an interrupt handler. */
void port_wake(void *unused);

/* Masks or unmasks msg's vector of every attached device. */
void port_mute(void *unused, bool on);

/* A device shall leave, or is gone: port_attend() has something to do. */
extern volatile bool port_attention;
void port_attend(void);

#endif
