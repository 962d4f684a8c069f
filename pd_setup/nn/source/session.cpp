#include "session.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>

namespace nn {
namespace {

bool finite_only(float* values, std::size_t count) noexcept {  // replaces NaN and infinity by 0; were there none?
    bool all = true;
    for (std::size_t i = 0; i < count; ++i)
        if (!std::isfinite(values[i])) {
            values[i] = 0;
            all = false;
        }
    return all;
}

std::size_t ring_blocks(int block, int buffer) {  // twice what one call of Pd brings, and some
    return 4 + 2 * static_cast<std::size_t>((std::max(block, buffer) + buffer - 1) / buffer);
}

int block_to_fit(int block) { return std::max(block, 1024); }

}  // namespace

double memory_needed(const Method& method, int buffer, int block) {
    const double in = double(method.in_channels) * buffer / method.in_ratio;
    const double out = double(method.out_channels) * buffer / method.out_ratio;
    return sizeof(float) * double(ring_blocks(block_to_fit(block), buffer)) * (in + 2 * out);
}

int buffer_size(const ModelInfo& info, int asked) {
    const int least = std::max(smallest_buffer, info.largest_ratio);
    return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::clamp(asked, least, std::max(least, largest_buffer)))));
}

void Failure::tell(const std::string& reason) noexcept {
    int empty = 0;
    if (!state_.compare_exchange_strong(empty, 1, std::memory_order_acquire)) return;
    std::strncpy(text_, reason.c_str(), sizeof text_ - 1);
    state_.store(2, std::memory_order_release);
}

bool Failure::take(std::string& reason) {
    if (state_.load(std::memory_order_acquire) != 2) return false;
    reason = text_;
    state_.store(0, std::memory_order_release);
    return true;
}

Session::Session(std::shared_ptr<Model> model_, const Method& method_, int asked_buffer, int block, Common& common)
    : model(std::move(model_)),
      method(method_),
      asked(asked_buffer),
      buffer(buffer_size(model->info(), asked_buffer)),
      inside(asked_buffer <= 0),
      largest_block_(block_to_fit(block)),
      in_frames_(buffer / method.in_ratio),
      out_frames_(buffer / method.out_ratio),
      common_(common),
      in_(inside ? 1 : ring_blocks(largest_block_, buffer), std::size_t(method.in_channels) * in_frames_),
      out_(inside ? 1 : 2 * ring_blocks(largest_block_, buffer), std::size_t(method.out_channels) * out_frames_),
      inside_out_(inside ? 2 * std::size_t(method.out_channels) * out_frames_ : 0) {
    restart(block);
}

// The callback brings `block` samples at a time. A result is there at the end of the call that completes its block:
// what must be put in front is what a call can be short of a block. A worker gets one more block of time.
int Session::delay(int block) const {
    const int short_of = buffer - std::gcd(buffer, block);
    return inside ? short_of : short_of + std::max(buffer, block);
}

void Session::fit(int block) noexcept {  // Pd says it again whenever any patch is edited: no reason for a gap
    if (block != block_) restart(block);
}

void Session::restart(int block) noexcept {
    block_ = block;
    filled_ = played_ = 0;
    filling_ = nullptr;
    silence_ = delay(block);
    out_index_ = in_index_;
    if (playing_from_ring_) out_.pop();
    playing_ = nullptr;
    playing_from_ring_ = inside_ready_[0] = inside_ready_[1] = false;
    started_.store(out_index_, std::memory_order_relaxed);
}

void Session::process(const float* const* in, int ins, float* const* out, int outs, int samples) noexcept {
    for (int done = 0; done < samples;) {
        const int count = std::min(samples - done, buffer - filled_);
        take_in(in, ins, done, count);  // all inputs before any output: Pd may use the same memory for both
        if (filled_ == buffer) hand_over();
        give_out(out, outs, done, count);
        done += count;
    }
}

void Session::take_in(const float* const* in, int ins, int from, int count) noexcept {
    if (filled_ == 0) filling_ = in_.next();
    if (filling_) {
        const int ratio = method.in_ratio;
        for (int channel = 0; channel < method.in_channels; ++channel) {
            float* to = filling_ + std::size_t(channel) * in_frames_ + filled_ / ratio;
            int sample = ratio - 1 - filled_ % ratio;  // the last of each `ratio` samples is kept
            if (channel >= ins) {
                for (; sample < count; sample += ratio) *to++ = 0;
            } else {
                const float* x = in[channel] + from;
                for (; sample < count; sample += ratio) *to++ = std::isfinite(x[sample]) ? x[sample] : 0.0f;
            }
        }
    }
    filled_ += count;
}

void Session::hand_over() noexcept {
    filled_ = 0;
    const std::uint64_t index = in_index_++;
    if (!inside) {
        if (filling_) in_.publish(index);
        common_.wake_worker();
        return;
    }
    Exclusive use(*model, common_.batch ? Exclusive::wait : Exclusive::try_now);
    inside_ready_[index % 2] = static_cast<bool>(use);
    if (use) compute(filling_, inside_out_.data() + index % 2 * inside_out_.size() / 2);
    // the one block of the ring is never published: next() gives it again
}

void Session::give_out(float* const* out, int outs, int from, int count) noexcept {
    for (int done = 0; done < count;) {
        if (silence_ == 0 && played_ == 0) next_output();
        const int piece = std::min(count - done, silence_ > 0 ? silence_ : buffer - played_);
        const bool quiet = silence_ > 0 || !playing_;
        const int ratio = method.out_ratio;
        for (int channel = 0; channel < outs; ++channel) {
            float* y = out[channel] + from + done;
            if (quiet || channel >= method.out_channels) {
                std::fill_n(y, piece, 0.0f);
                continue;
            }
            const float* held = playing_ + std::size_t(channel) * out_frames_;
            if (ratio == 1) {
                std::copy_n(held + played_, piece, y);
            } else {
                for (int i = 0; i < piece; ++i) y[i] = held[(played_ + i) / ratio];
            }
        }
        done += piece;
        if (silence_ > 0) {
            silence_ -= piece;
        } else if ((played_ += piece) == buffer) {
            played_ = 0;
            if (playing_from_ring_) out_.pop();
            playing_ = nullptr;
            playing_from_ring_ = false;
        }
    }
}

void Session::next_output() noexcept {
    const std::uint64_t wanted = out_index_++;
    if (inside) {
        playing_ = inside_ready_[wanted % 2] ? inside_out_.data() + wanted % 2 * inside_out_.size() / 2 : nullptr;
        if (!playing_) common_.meters.late.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    for (;;) {
        const auto seen = progress_.load(std::memory_order_acquire);
        std::uint64_t index = 0;
        const float* block = out_.front(index);
        while (block && index < wanted) {  // came too late: silence was played in its place
            out_.pop();
            block = out_.front(index);
        }
        if (block && index == wanted) {
            playing_ = block;
            playing_from_ring_ = true;
            break;
        }
        if (!common_.batch || block) {
            common_.meters.late.fetch_add(1, std::memory_order_relaxed);
            break;
        }
        progress_.wait(seen, std::memory_order_acquire);  // rendering a file: there is all the time in the world
    }
    started_.store(out_index_, std::memory_order_relaxed);
}

void Session::drain() noexcept {
    for (;;) {
        const auto seen = progress_.load(std::memory_order_acquire);
        if (inside || in_.empty()) return;
        progress_.wait(seen, std::memory_order_acquire);
    }
}

bool Session::work() {
    std::uint64_t index = 0;
    float* in = in_.front(index);
    if (!in) return false;
    const bool too_late = !common_.batch && index < started_.load(std::memory_order_relaxed);
    float* out = too_late ? nullptr : out_.next();
    if (out) {
        Exclusive use(*model);
        compute(in, out);
        out_.publish(index);
    }
    in_.pop();
    progress_.fetch_add(1, std::memory_order_release);
    if (common_.batch) progress_.notify_all();
    return true;
}

void Session::compute(float* in, float* out) noexcept {
    using clock = std::chrono::steady_clock;
    const auto began = clock::now();
    const std::size_t count = std::size_t(method.out_channels) * out_frames_;
    bool good = false;
    try {
        std::string error;
        good = model->run(method, in, in_frames_, out, out_frames_, error);
        if (!good) common_.failure.tell(error);
    } catch (...) {  // out of memory while saying what went wrong
    }
    if (!good) {
        std::fill_n(out, count, 0.0f);
        common_.meters.failed.fetch_add(1, std::memory_order_relaxed);
    } else if (!finite_only(out, count)) {
        common_.meters.nonfinite.fetch_add(1, std::memory_order_relaxed);
    }
    const double seconds = std::chrono::duration<double>(clock::now() - began).count();
    const float share = static_cast<float>(seconds * common_.meters.sample_rate.load(std::memory_order_relaxed) / buffer);
    const float load = common_.meters.load.load(std::memory_order_relaxed);
    common_.meters.load.store(load + 0.1f * (share - load), std::memory_order_relaxed);
    common_.meters.blocks.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace nn
