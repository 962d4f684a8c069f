// A queue of blocks of floats between exactly two threads, without locks: one thread only writes, the other only reads.
//
// All memory is taken in the constructor. Each side owns one counter; the other side only looks at it. A block becomes
// visible to the reader when the writer moves its counter (release) and the reader sees that (acquire).
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

    // Writer: memory of the next block, or nullptr while the ring is full. The same until publish().
    float* next() noexcept {
        const auto written = written_.load(std::memory_order_relaxed);
        if (written - read_.load(std::memory_order_acquire) == stamps_.size()) return nullptr;
        return samples_.data() + (written % stamps_.size()) * size_;
    }

    // Writer: hand the block that next() gave to the reader, with a number that tells which it is.
    void publish(std::uint64_t stamp) noexcept {
        const auto written = written_.load(std::memory_order_relaxed);
        stamps_[written % stamps_.size()] = stamp;
        written_.store(written + 1, std::memory_order_release);
    }

    // Reader: the oldest block and its number, or nullptr while the ring is empty. The same until pop().
    float* front(std::uint64_t& stamp) noexcept {
        const auto read = read_.load(std::memory_order_relaxed);
        if (read == written_.load(std::memory_order_acquire)) return nullptr;
        stamp = stamps_[read % stamps_.size()];
        return samples_.data() + (read % stamps_.size()) * size_;
    }

    // Reader: give the block that front() showed back to the writer.
    void pop() noexcept { read_.fetch_add(1, std::memory_order_release); }

    // Anyone: whether the reader has given everything back.
    bool empty() const noexcept { return read_.load(std::memory_order_acquire) == written_.load(std::memory_order_acquire); }

private:
    std::size_t size_;
    std::vector<std::uint64_t> stamps_;
    std::vector<float> samples_;
    alignas(64) std::atomic<std::size_t> written_{0};  // on cache lines of their own: two threads use them
    alignas(64) std::atomic<std::size_t> read_{0};
};

}  // namespace nn
