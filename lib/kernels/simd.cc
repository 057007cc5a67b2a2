// SPDX-License-Identifier: GPL-3.0-or-later
#include "simd.h"

#include "simd_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

const char* Name()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return "generic";
#elif HWY_TARGET == HWY_SSE4
    return "sse4";
#elif HWY_TARGET == HWY_AVX2
    return "avx2";
#elif HWY_TARGET == HWY_AVX3
    return "avx512";
#else
    return "neon";
#endif
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

namespace softmod
{
namespace
{

HWY_EXPORT(Name);

std::atomic<bool> generic{false}, dot_products{true};

void choose(std::int64_t targets)
{
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

std::string dispatched()
{
    return HWY_DYNAMIC_DISPATCH(Name)();
}

// Highway's bit for a name, 0 for "generic".
struct Target {
    std::string name;
    std::int64_t bit;
};

std::vector<Target> find_targets()
{
    std::vector<Target> found;
    for (const auto bit : hwy::SupportedAndGeneratedTargets()) {
        choose(bit);
        const auto same = [&](const Target& target) { return target.name == dispatched(); };
        if (dispatched() != "generic" && std::none_of(found.begin(), found.end(), same))
            found.push_back({dispatched(), bit});
    }
    choose(0);
    found.push_back({"generic", 0});
    return found;
}

void use(const std::vector<Target>& targets, const std::string& name)
{
    std::string names;
    for (const auto& target : targets) {
        if (target.name == name) {
            choose(target.name == targets.front().name ? 0 : target.bit);
            generic = name == "generic";
            return;
        }
        names += (names.empty() ? "" : ", ") + target.name;
    }
    throw std::invalid_argument("SIMD target '" + name +
                                "' is not available; this CPU and build have: " + names);
}

const std::vector<Target>& all_targets()
{
    static const std::vector<Target> targets = [] {
        auto found = find_targets();
        const char* wanted = std::getenv("SOFTMOD_SIMD");
        try {
            use(found, wanted && *wanted ? wanted : found.front().name);
        } catch (const std::invalid_argument& error) {
            std::cerr << "SOFTMOD_SIMD: " << error.what() << "; using " << found.front().name << "\n";
            use(found, found.front().name);
        }
        return found;
    }();
    return targets;
}

} // namespace

std::vector<std::string> simd_targets()
{
    std::vector<std::string> names;
    for (const auto& target : all_targets())
        names.push_back(target.name);
    return names;
}

bool simd_is_generic()
{
    all_targets();
    return generic;
}

bool simd_dot_products()
{
    return dot_products;
}

void use_simd_dot_products(bool use)
{
    dot_products = use;
}

std::string simd_target()
{
    return simd_is_generic() ? "generic" : dispatched();
}

void use_simd_target(const std::string& name)
{
    use(all_targets(), name);
}

} // namespace softmod
#endif
