// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cmath>
#include <complex>
#include <cstddef>
#include <utility>
#include <vector>

namespace softmod
{

// In place, X[k] = sum_n x[n] exp(-2 pi j k n / N), N a power of two. For the few small transforms of an
// acquisition; radix 2, twiddles by double-precision recurrence.
inline void fft(std::vector<std::complex<float>>& x)
{
    const std::size_t n = x.size();
    for (std::size_t i = 1, j = 0; i < n; ++i) {
        std::size_t bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j)
            std::swap(x[i], x[j]);
    }
    std::vector<std::complex<float>> twiddles(n / 2);
    for (std::size_t length = 2; length <= n; length <<= 1) {
        const std::size_t half = length / 2;
        const auto step = std::polar(1.0, -6.283185307179586 / static_cast<double>(length));
        std::complex<double> twiddle = 1;
        for (std::size_t k = 0; k < half; ++k, twiddle *= step)
            twiddles[k] = std::complex<float>(twiddle);
        for (std::size_t first = 0; first < n; first += length) {
            auto *lower = x.data() + first, *upper = lower + half;
            for (std::size_t k = 0; k < half; ++k) {
                const auto w = twiddles[k], a = lower[k], b = upper[k];
                const std::complex<float> c(b.real() * w.real() - b.imag() * w.imag(),
                                            b.real() * w.imag() + b.imag() * w.real());
                lower[k] = a + c;
                upper[k] = a - c;
            }
        }
    }
}

} // namespace softmod
