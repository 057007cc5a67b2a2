// SPDX-License-Identifier: GPL-3.0-or-later
// A band into channels of equal width, each at its own rate: polyphase filter and Fourier transform.
//
// Channel c, sample t, of M channels: the sum over i of taps[i] x[t M + M - 1 - i] exp(2 pi j c i / M), which
// is what lies c / M of the sample rate above the middle, brought down to zero (but for a constant phase),
// filtered, and every M-th sample of it. Source: fred harris, "Multirate Signal Processing for Communication
// Systems", chapter 6.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

class Channelizer
{
public:
    // channels: a power of two, 2 to 1024. taps: at the rate of the band, 1 to 4096 a channel, finite.
    // Throws std::invalid_argument.
    Channelizer(std::size_t channels, const std::vector<float>& taps);

    std::size_t channels() const { return d_channels; }

    // in: n * channels() samples that follow those of the call before. out: n samples to each out[c].
    void run(const std::complex<float>* in, std::size_t n, std::complex<float>* const* out);

private:
    static constexpr std::size_t kBlock = 32; // samples of a channel that are worked together

    void split(const std::complex<float>* in, std::size_t count);
    void filter();
    void transform();

    float* history(std::vector<float>& part, std::size_t arm)
    {
        return part.data() + arm * (d_depth - 1 + kBlock);
    }

    std::size_t d_channels, d_depth;     // taps of an arm
    std::vector<float> d_taps;           // [channels][depth]
    std::vector<std::size_t> d_place;    // where the transform wants each arm: its bits in reverse
    std::vector<float> d_cosine, d_sine; // of 2 pi k / channels
    std::vector<float> d_in_re, d_in_im; // [channels][depth - 1 + kBlock]: the samples before, and a block's
    std::vector<float> d_re, d_im;       // [channels][kBlock]
};

} // namespace softmod
