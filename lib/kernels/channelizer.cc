// SPDX-License-Identifier: GPL-3.0-or-later
// Every inner loop runs over the samples of one arm or channel, which lie side by side: compilers make
// vectors of it.
#include "channelizer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{

Channelizer::Channelizer(std::size_t channels, const std::vector<float>& taps)
    : d_channels(channels), d_depth(channels ? (taps.size() + channels - 1) / channels : 0)
{
    if (channels < 2 || channels > 1024 || (channels & (channels - 1)) != 0)
        throw std::invalid_argument("channels is " + std::to_string(channels) +
                                    "; it must be a power of two, 2 to 1024");
    if (taps.empty() || d_depth > 4096)
        throw std::invalid_argument("there are " + std::to_string(taps.size()) +
                                    " taps; allowed are 1 to 4096 a channel");
    if (!std::all_of(taps.begin(), taps.end(), [](float tap) { return std::isfinite(tap); }))
        throw std::invalid_argument("taps must be finite");
    d_taps.resize(channels * d_depth);
    for (std::size_t i = 0; i < taps.size(); ++i)
        d_taps[i % channels * d_depth + i / channels] = taps[i];
    d_place.resize(channels);
    for (std::size_t i = 1; i < channels; ++i)
        d_place[i] = d_place[i / 2] / 2 + (i % 2) * channels / 2;
    for (std::size_t k = 0; k < channels / 2; ++k) {
        const double angle = 6.283185307179586 * static_cast<double>(k) / static_cast<double>(channels);
        d_cosine.push_back(static_cast<float>(std::cos(angle)));
        d_sine.push_back(static_cast<float>(std::sin(angle)));
    }
    d_in_re.resize(channels * (d_depth - 1 + kBlock));
    d_in_im.resize(d_in_re.size());
    d_re.resize(channels * kBlock);
    d_im.resize(channels * kBlock);
}

void Channelizer::split(const std::complex<float>* in, std::size_t count)
{
    for (std::size_t arm = 0; arm < d_channels; ++arm) {
        float* re = history(d_in_re, arm) + d_depth - 1;
        float* im = history(d_in_im, arm) + d_depth - 1;
        const auto* sample = in + d_channels - 1 - arm;
        for (std::size_t t = 0; t < count; ++t, sample += d_channels) {
            re[t] = sample->real();
            im[t] = sample->imag();
        }
    }
}

void Channelizer::filter()
{
    for (std::size_t arm = 0; arm < d_channels; ++arm) {
        const float* taps = d_taps.data() + arm * d_depth;
        const float* in_re = history(d_in_re, arm) + d_depth - 1;
        const float* in_im = history(d_in_im, arm) + d_depth - 1;
        float re[kBlock] = {}, im[kBlock] = {};
        for (std::size_t k = 0; k < d_depth; ++k, --in_re, --in_im)
            for (std::size_t t = 0; t < kBlock; ++t) {
                re[t] += taps[k] * in_re[t];
                im[t] += taps[k] * in_im[t];
            }
        std::copy_n(re, kBlock, d_re.data() + d_place[arm] * kBlock);
        std::copy_n(im, kBlock, d_im.data() + d_place[arm] * kBlock);
    }
}

// Radix 2, of all samples of the block at once; exponents are positive.
void Channelizer::transform()
{
    for (std::size_t half = 1; half < d_channels; half *= 2)
        for (std::size_t k = 0; k < half; ++k) {
            const float c = d_cosine[k * (d_channels / 2 / half)], s = d_sine[k * (d_channels / 2 / half)];
            for (std::size_t i = k; i < d_channels; i += 2 * half) {
                float *re = d_re.data() + i * kBlock, *im = d_im.data() + i * kBlock;
                float *far_re = re + half * kBlock, *far_im = im + half * kBlock;
                for (std::size_t t = 0; t < kBlock; ++t) {
                    const float turned_re = far_re[t] * c - far_im[t] * s;
                    const float turned_im = far_re[t] * s + far_im[t] * c;
                    far_re[t] = re[t] - turned_re;
                    far_im[t] = im[t] - turned_im;
                    re[t] += turned_re;
                    im[t] += turned_im;
                }
            }
        }
}

void Channelizer::run(const std::complex<float>* in, std::size_t n, std::complex<float>* const* out)
{
    for (std::size_t done = 0; done < n; done += kBlock) {
        const std::size_t count = std::min(kBlock, n - done);
        split(in + done * d_channels, count);
        filter();
        transform();
        for (std::size_t channel = 0; channel < d_channels; ++channel) {
            const float* re = d_re.data() + channel * kBlock;
            const float* im = d_im.data() + channel * kBlock;
            for (std::size_t t = 0; t < count; ++t)
                out[channel][done + t] = {re[t], im[t]};
            for (auto* part : {&d_in_re, &d_in_im}) { // what the next block's first samples need
                float* from = history(*part, channel);
                std::copy(from + count, from + count + d_depth - 1, from);
            }
        }
    }
}

} // namespace softmod
