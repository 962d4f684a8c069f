// One background thread for the whole process, for slow jobs that are not urgent: loading models and warming them up.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace nn {

class Loader {
public:
    static Loader& instance();
    void add(std::function<void()> job);  // jobs run one after the other and must not throw
    void finish();  // accepts no more jobs; waits at most five seconds for the current one
    ~Loader();

private:
    Loader() = default;
    void run();
    std::mutex mutex_;
    std::condition_variable changed_, ended_;
    std::deque<std::function<void()>> jobs_;
    bool stop_ = false, done_ = false;
    std::thread thread_;  // started by the first job
};

}  // namespace nn
