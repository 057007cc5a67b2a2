// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_API_H
#define INCLUDED_SOFTMOD_API_H

#include <gnuradio/attributes.h>

#ifdef gnuradio_softmod_EXPORTS
#define SOFTMOD_API __GR_ATTR_EXPORT
#else
#define SOFTMOD_API __GR_ATTR_IMPORT
#endif

#endif
