// A lock-free single-producer, single-consumer queue of blocks of floats.
//
// The constructor allocates all memory. Each side owns one counter, which the other only reads. A block becomes visible
// to the reader when the writer increments its counter (release) and the reader loads it (acquire).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nn {

class BlockRing {
public:
    BlockRing(std::size_t blocks, std::size_t floats_per_block)
        : size_(floats_per_block), stamps_(blocks), samples_(blocks * floats_per_block) {}

    // Writer: the next block to fill, or nullptr while the ring is full. Stays the same until publish().
    float* next() noexcept {
        const auto written = written_.load(std::memory_order_relaxed);
        if (written - read_.load(std::memory_order_acquire) == stamps_.size()) return nullptr;
        return samples_.data() + (written % stamps_.size()) * size_;
    }

    // Writer: pass the block from next() to the reader, with its index.
    void publish(std::uint64_t stamp) noexcept {
        const auto written = written_.load(std::memory_order_relaxed);
        stamps_[written % stamps_.size()] = stamp;
        written_.store(written + 1, std::memory_order_release);
    }

    // Reader: the oldest block and its index, or nullptr while the ring is empty. Stays the same until pop().
    float* front(std::uint64_t& stamp) noexcept {
        const auto read = read_.load(std::memory_order_relaxed);
        if (read == written_.load(std::memory_order_acquire)) return nullptr;
        stamp = stamps_[read % stamps_.size()];
        return samples_.data() + (read % stamps_.size()) * size_;
    }

    // Reader: return the block from front() to the writer.
    void pop() noexcept { read_.fetch_add(1, std::memory_order_release); }

    // Any thread: whether the reader has returned every block.
    bool empty() const noexcept { return read_.load(std::memory_order_acquire) == written_.load(std::memory_order_acquire); }

private:
    std::size_t size_;
    std::vector<std::uint64_t> stamps_;
    std::vector<float> samples_;
    alignas(64) std::atomic<std::size_t> written_{0};  // on separate cache lines: two threads write them
    alignas(64) std::atomic<std::size_t> read_{0};
};

}  // namespace nn
