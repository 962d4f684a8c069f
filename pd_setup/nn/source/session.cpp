#include "session.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>

namespace nn {
namespace {

bool replace_nonfinite(float* values, std::size_t count) noexcept {  // replaces NaN and infinity by 0; true if there were none
    bool all = true;
    for (std::size_t i = 0; i < count; ++i)
        if (!std::isfinite(values[i])) {
            values[i] = 0;
            all = false;
        }
    return all;
}

std::size_t ring_blocks(int block, int buffer) {  // twice the blocks of one call, and some spare
    return 4 + 2 * static_cast<std::size_t>((std::max(block, buffer) + buffer - 1) / buffer);
}

int supported_block(int block) { return std::max(block, 1024); }

}  // namespace

double session_bytes(const Method& method, int buffer, int block) {
    const double in = double(method.in_channels) * buffer / method.in_ratio;
    const double out = double(method.out_channels) * buffer / method.out_ratio;
    return sizeof(float) * double(ring_blocks(supported_block(block), buffer)) * (in + 2 * out);
}

int buffer_size(const ModelInfo& info, int requested) {
    const int minimum = std::max(min_buffer, info.max_ratio);
    return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::clamp(requested, minimum, std::max(minimum, max_buffer)))));
}

void Failure::store(const std::string& reason) noexcept {
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

Session::Session(std::shared_ptr<Model> model_, const Method& method_, int requested_buffer, int block, Shared& shared)
    : model(std::move(model_)),
      method(method_),
      requested(requested_buffer),
      buffer(buffer_size(model->info(), requested_buffer)),
      synchronous(requested_buffer <= 0),
      max_block_(supported_block(block)),
      in_frames_(buffer / method.in_ratio),
      out_frames_(buffer / method.out_ratio),
      shared_(shared),
      in_(synchronous ? 1 : ring_blocks(max_block_, buffer), std::size_t(method.in_channels) * in_frames_),
      out_(synchronous ? 1 : 2 * ring_blocks(max_block_, buffer), std::size_t(method.out_channels) * out_frames_),
      sync_out_(synchronous ? 2 * std::size_t(method.out_channels) * out_frames_ : 0) {
    restart(block);
}

// The callback passes `block` samples at a time, and a result is available at the end of the call that completes its
// buffer. The silence in front must cover the samples by which a call can fall short of a whole buffer. The worker gets
// one more buffer of time (or one more call, if that is longer).
int Session::delay(int block) const {
    const int short_of = buffer - std::gcd(buffer, block);
    return synchronous ? short_of : short_of + std::max(buffer, block);
}

void Session::set_block_size(int block) noexcept {  // Pd calls this whenever a patch is edited: no reason for a gap
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
    playing_from_ring_ = sync_ready_[0] = sync_ready_[1] = false;
    started_.store(out_index_, std::memory_order_relaxed);
}

void Session::process(const float* const* in, int ins, float* const* out, int outs, int samples) noexcept {
    for (int done = 0; done < samples;) {
        const int count = std::min(samples - done, buffer - filled_);
        read_input(in, ins, done, count);  // read all inputs before writing outputs: Pd may use the same memory for both
        if (filled_ == buffer) submit_block();
        write_output(out, outs, done, count);
        done += count;
    }
}

void Session::read_input(const float* const* in, int ins, int from, int count) noexcept {
    if (filled_ == 0) filling_ = in_.next();
    if (filling_) {
        const int ratio = method.in_ratio;
        for (int channel = 0; channel < method.in_channels; ++channel) {
            float* to = filling_ + std::size_t(channel) * in_frames_ + filled_ / ratio;
            int sample = ratio - 1 - filled_ % ratio;  // keep the last of each `ratio` samples
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

void Session::submit_block() noexcept {
    filled_ = 0;
    const std::uint64_t index = in_index_++;
    if (!synchronous) {
        if (filling_) in_.publish(index);
        shared_.wake_worker();
        return;
    }
    Exclusive use(*model, shared_.batch ? Exclusive::wait : Exclusive::try_now);
    sync_ready_[index % 2] = static_cast<bool>(use);
    if (use) compute(filling_, sync_out_.data() + index % 2 * sync_out_.size() / 2);
    // the ring's only block is never published: next() returns it again
}

void Session::write_output(float* const* out, int outs, int from, int count) noexcept {
    for (int done = 0; done < count;) {
        if (silence_ == 0 && played_ == 0) next_output_block();
        const int piece = std::min(count - done, silence_ > 0 ? silence_ : buffer - played_);
        const bool silent = silence_ > 0 || !playing_;
        const int ratio = method.out_ratio;
        for (int channel = 0; channel < outs; ++channel) {
            float* y = out[channel] + from + done;
            if (silent || channel >= method.out_channels) {
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

void Session::next_output_block() noexcept {
    const std::uint64_t wanted = out_index_++;
    if (synchronous) {
        playing_ = sync_ready_[wanted % 2] ? sync_out_.data() + wanted % 2 * sync_out_.size() / 2 : nullptr;
        if (!playing_) shared_.meters.late.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    for (;;) {
        const auto seen = progress_.load(std::memory_order_acquire);
        std::uint64_t index = 0;
        const float* block = out_.front(index);
        while (block && index < wanted) {  // too late: silence was played instead
            out_.pop();
            block = out_.front(index);
        }
        if (block && index == wanted) {
            playing_ = block;
            playing_from_ring_ = true;
            break;
        }
        if (!shared_.batch || block) {
            shared_.meters.late.fetch_add(1, std::memory_order_relaxed);
            break;
        }
        progress_.wait(seen, std::memory_order_acquire);  // rendering a file: waiting is fine
    }
    started_.store(out_index_, std::memory_order_relaxed);
}

void Session::drain() noexcept {
    for (;;) {
        const auto seen = progress_.load(std::memory_order_acquire);
        if (synchronous || in_.empty()) return;
        progress_.wait(seen, std::memory_order_acquire);
    }
}

bool Session::compute_next() {
    std::uint64_t index = 0;
    float* in = in_.front(index);
    if (!in) return false;
    const bool too_late = !shared_.batch && index < started_.load(std::memory_order_relaxed);
    float* out = too_late ? nullptr : out_.next();
    if (out) {
        Exclusive use(*model);
        compute(in, out);
        out_.publish(index);
    }
    in_.pop();
    progress_.fetch_add(1, std::memory_order_release);
    if (shared_.batch) progress_.notify_all();
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
        if (!good) shared_.failure.store(error);
    } catch (...) {  // out of memory while building the error message
    }
    if (!good) {
        std::fill_n(out, count, 0.0f);
        shared_.meters.failed.fetch_add(1, std::memory_order_relaxed);
    } else if (!replace_nonfinite(out, count)) {
        shared_.meters.nonfinite.fetch_add(1, std::memory_order_relaxed);
    }
    const double seconds = std::chrono::duration<double>(clock::now() - began).count();
    const float share = static_cast<float>(seconds * shared_.meters.sample_rate.load(std::memory_order_relaxed) / buffer);
    const float load = shared_.meters.load.load(std::memory_order_relaxed);
    shared_.meters.load.store(load + 0.1f * (share - load), std::memory_order_relaxed);
    shared_.meters.blocks.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace nn
