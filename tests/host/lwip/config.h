/* SPDX-License-Identifier: MIT */
/* lwIP's unit tests include one; it has nothing to say. */
