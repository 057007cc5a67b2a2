// SPDX-License-Identifier: GPL-3.0-or-later
#include "qnet_kernels.h"

namespace softmod
{

const QnetKernels& qnet_kernels()
{
    return qnet_kernels_generic();
}

} // namespace softmod
