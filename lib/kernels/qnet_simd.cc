// SPDX-License-Identifier: GPL-3.0-or-later
// The steps in Highway: this file is compiled once for every instruction set, for some of them once more with
// the dot products of bytes that newer CPUs have beside it.
//
// Compiled with -ffp-contract=off: a product and a sum are two roundings.
#include "qnet_kernels.h"
#include "simd.h"
#include "simd_config.h"

#include <algorithm>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qnet_simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

// What the second form needs beside the target: empty where there is no such form.
#undef SOFTMOD_DOT_ATTRIBUTES
#undef SOFTMOD_VECTORS_OF_BYTES
#if HWY_TARGET == HWY_AVX3
#define SOFTMOD_VECTORS_OF_BYTES 1
#define SOFTMOD_DOT_ATTRIBUTES HWY_TARGET_STR ",avx512vnni"
#elif HWY_TARGET == HWY_AVX2
#define SOFTMOD_VECTORS_OF_BYTES 1
#define SOFTMOD_DOT_ATTRIBUTES HWY_TARGET_STR ",avxvnni"
#elif HWY_TARGET == HWY_SSE4
#define SOFTMOD_VECTORS_OF_BYTES 1
#elif HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64
#define SOFTMOD_VECTORS_OF_BYTES 1
#if HWY_COMPILER_GCC_ACTUAL
#define SOFTMOD_DOT_ATTRIBUTES "arch=armv8.2-a+crypto+dotprod"
#endif
#else
#define SOFTMOD_VECTORS_OF_BYTES 0
#endif

#if SOFTMOD_VECTORS_OF_BYTES
HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace plain
{
#define SOFTMOD_DOT 0
#define SOFTMOD_ATTR HWY_ATTR __attribute__((always_inline)) // of lambdas
#include "qnet_kernels-inl.h"
#undef SOFTMOD_ATTR
#undef SOFTMOD_DOT
} // namespace plain
} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();
#endif

#ifdef SOFTMOD_DOT_ATTRIBUTES
HWY_PUSH_ATTRIBUTES(SOFTMOD_DOT_ATTRIBUTES)
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace dot
{
#define SOFTMOD_DOT 1
#define SOFTMOD_ATTR __attribute__((target(SOFTMOD_DOT_ATTRIBUTES), always_inline))
#include "qnet_kernels-inl.h"
#undef SOFTMOD_ATTR
#undef SOFTMOD_DOT
} // namespace dot
} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_POP_ATTRIBUTES
#endif

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

// dot: whether this CPU has the target's dot products and they are to be used.
const QnetKernels* QnetOfTarget([[maybe_unused]] bool dot512, [[maybe_unused]] bool dot256)
{
#ifdef SOFTMOD_DOT_ATTRIBUTES
    if (HWY_TARGET == HWY_AVX3 ? dot512 : dot256)
        return &dot::Kernels();
#endif
#if SOFTMOD_VECTORS_OF_BYTES
    return &plain::Kernels();
#else
    return &qnet_kernels_generic();
#endif
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#if HWY_ARCH_X86
#include <cpuid.h>
#elif HWY_ARCH_ARM && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace softmod
{
namespace
{

HWY_EXPORT(QnetOfTarget);

struct DotProducts {
    bool bits512 = false, bits256 = false;
};

DotProducts of_this_cpu()
{
#if HWY_ARCH_X86
    unsigned a = 0, b = 0, c = 0, d = 0;
    DotProducts found;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        found.bits512 = c >> 11 & 1; // AVX512_VNNI
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d))
        found.bits256 = a >> 4 & 1; // AVX_VNNI
    return found;
#elif HWY_ARCH_ARM && defined(__linux__)
    const bool found = getauxval(AT_HWCAP) >> 20 & 1; // HWCAP_ASIMDDP
    return {found, found};
#else
    return {};
#endif
}

} // namespace

const QnetKernels& qnet_kernels()
{
    static const DotProducts cpu = of_this_cpu();
    if (simd_is_generic())
        return qnet_kernels_generic();
    const bool use = simd_dot_products();
    return *HWY_DYNAMIC_DISPATCH(QnetOfTarget)(use && cpu.bits512, use && cpu.bits256);
}

} // namespace softmod
#endif
